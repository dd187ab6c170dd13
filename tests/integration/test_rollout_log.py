"""Roll-outs on real servers with a log: who answered is who is in the log, each row once, and both models compared."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from logged_rows import rows_in
from rolled_out import panel, trained
from servers import Server, metamodel_server, scoring_server
from serving import figure, post

import metamodel

pytestmark = pytest.mark.server

ROWS, CUSTOMERS, FRACTION = 240, 40, 0.5


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[metamodel.MetaModel, metamodel.MetaModel]:
    """A champion, and a challenger that lies 5 higher in every shop."""
    directory = tmp_path_factory.mktemp("pair")
    return trained(directory / "champion", panel()), trained(directory / "challenger", panel(shift=5.0, shifted=12))


@contextlib.contextmanager
def served(which: str, mode: str, pair: tuple[Any, Any], directory: Path) -> Iterator[tuple[Server, Path]]:
    """Run a server of the roll-out with a log of every row; yields it and its log."""
    log = directory / "log"
    env = {"METAMODEL_LOG": str(log), "METAMODEL_LOG_ENTITY": "customer", "METAMODEL_LOG_SECRET": "hush"}
    champion, challenger = pair
    choices: dict[str, Any] = {
        "mode": mode,
        "fraction": FRACTION,
        "entity": "customer",
        "salt": "spring",
        "patience": 60,
    }
    if which == "metamodel serve":
        with metamodel_server(champion.path, directory, 1, env, challenger=challenger.path, **choices) as server:
            yield server, log
    else:
        made = metamodel.rollout(champion, challenger, **choices)
        with scoring_server(made.model_uri, directory, 1, env) as server:
            yield server, log


def visits() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    number = np.arange(ROWS)
    frame = pd.DataFrame({"shop": number % 12, "x": rng.normal(size=ROWS), "z": 0.25, "row_id": number})
    return frame.assign(customer=[f"c-{i % CUSTOMERS}" for i in number])


def answered(server: Server, frame: pd.DataFrame) -> pd.DataFrame:
    """Ask for rows one by one and in tables; returns the answers, by row."""
    parts = [frame.iloc[[i]] for i in range(30)] + [frame.iloc[start : start + 42] for start in range(30, ROWS, 42)]
    answers = []
    for part in parts:
        body = json.dumps({"dataframe_records": json.loads(part.to_json(orient="records")), "params": {"detail": True}})
        answer = post(server, body)
        assert answer.status_code == 200, answer.text
        answers += answer.json()["predictions"]
    return pd.DataFrame(answers, index=[str(i) for i in frame["row_id"]])


def stopped(server: Server, log: Path) -> pd.DataFrame:
    """End a server orderly, and read all that it has logged."""
    os.killpg(server.process.pid, signal.SIGTERM)
    server.process.wait(120)
    end = time.monotonic() + 120
    while True:  # MLflow's command may end before the server that it has started
        table = rows_in(log)
        if len(table) >= ROWS or time.monotonic() > end:
            return table.set_index("row_id")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("which", "mode"),
    [
        ("metamodel serve", "shadow"),
        ("metamodel serve", "ab"),
        ("metamodel serve", "interleave"),
        ("mlflow models serve", "shadow"),
        ("mlflow models serve", "canary"),
        ("mlflow models serve", "interleave"),
    ],
)
def test_the_log_has_each_row_once_with_who_answered_it_and_both_models_are_compared(
    which: str, mode: str, pair: tuple[metamodel.MetaModel, metamodel.MetaModel], tmp_path: Path
) -> None:
    frame = visits()
    alone = {
        name: dict(zip(frame["row_id"].astype(str), model.predict(frame)["prediction"], strict=True))
        for name, model in zip(("champion", "challenger"), pair, strict=True)
    }
    with served(which, mode, pair, tmp_path) as (server, log):
        answers = answered(server, frame)
        if which == "metamodel serve":
            assert figure(server, "metamodel_log_dropped_total") == 0
            end = time.monotonic() + 120
            while mode == "shadow" and figure(server, 'metamodel_shadow_rows_total{outcome="answered"}') < ROWS:
                assert time.monotonic() < end, server.log
                time.sleep(0.05)
        table = stopped(server, log)
    assert sorted(table.index) == sorted(answers.index)
    logged = table.loc[answers.index]
    assert logged["variant"].tolist() == answers["variant"].tolist()
    assert set(logged["variant"]) == ({"champion"} if mode == "shadow" else {"champion", "challenger"})
    np.testing.assert_allclose(logged["prediction"], answers["prediction"])
    np.testing.assert_allclose(logged["prediction"], [alone[who][row] for row, who in logged["variant"].items()])
    others = logged["shadow_prediction"].dropna().astype(float)
    if mode == "interleave" or (mode, which) == ("shadow", "metamodel serve"):
        assert len(others) == ROWS
        turned = logged["variant"].map({"champion": "challenger", "challenger": "champion"})
        np.testing.assert_allclose(others, [alone[turned[row]][row] for row in others.index])
    shares = [FRACTION] if mode in ("ab", "canary") else []
    assert logged["challenger_share"].dropna().unique().tolist() == shares
    if mode in ("ab", "canary") or len(others) == ROWS:  # MLflow's server ends before it has heard of the last rows
        _compare(log, mode)


def _compare(log: Path, mode: str) -> None:
    rows = visits()
    labels = rows[["row_id"]].assign(y=rows["x"] * (rows["shop"] + 1))
    found = metamodel.compare_variants(log, labels, target="y")
    assert found.sound
    assert found.verdict == "worse"  # the challenger lies 5 higher
    every = found.table[found.table["kind"] == "all"].iloc[0]
    if mode in ("ab", "canary"):
        assert every["champion_units"] + every["challenger_units"] == CUSTOMERS
    else:
        assert every["rows"] == ROWS
