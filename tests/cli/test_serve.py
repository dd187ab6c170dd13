"""`metamodel serve`: every option reaches the server; what cannot be served ends the command at once, in one line."""

from pathlib import Path

import pandas as pd
import pytest
from command_line import by_hand, run
from servers import metamodel_server
from serving import post

from metamodel.bundle.references import WORKERS_VARIABLE


def test_serve_says_in_one_line_that_there_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("orjson")
    monkeypatch.setenv(WORKERS_VARIABLE, "1")  # which serving sets where nobody did
    result = run("serve", str(tmp_path / "nothing"), "--port", "0")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "There is no model at" in result.stderr


@pytest.mark.parametrize("option", ["--port", "--workers", "--threads", "--max-rows", "--max-waiting"])
def test_serve_takes_whole_numbers_for_what_is_counted(option: str) -> None:
    result = run("serve", "model", option, "1.5")

    assert result.exit_code == 2
    assert f"Invalid value for '{option}': '1.5' is no whole number" in result.stderr


@pytest.mark.parametrize("option", ["--workers", "--threads", "--max-rows", "--max-waiting", "--timeout"])
def test_a_limit_that_leaves_nothing_to_serve_is_one_line(option: str) -> None:
    result = run("serve", "nowhere", option, "0")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "leaves nothing to serve. Give a number above 0." in result.stderr


@pytest.mark.server
@pytest.mark.slow
def test_a_model_is_served_within_the_limits_that_the_options_set(
    trained: str, sales: pd.DataFrame, tmp_path: Path
) -> None:
    known = sales.loc[
        sales["units"].notna() & (sales["store"] == 1), ["store", "product", "price", "promotion", "trend"]
    ]
    with metamodel_server(trained, tmp_path, max_rows=5, max_body_mb=0.01) as server:
        few = post(server, known.head(5).to_json(orient="split").join(['{"dataframe_split": ', "}"]))
        many = post(server, known.head(6).to_json(orient="split").join(['{"dataframe_split": ', "}"]))
        large = post(server, " " * 20_000 + "{}")
        said = server.log

    answers = [row["prediction"] for row in few.json()["predictions"]]
    assert answers == pytest.approx(by_hand(sales)[known.index[:5]].tolist())
    assert (few.status_code, many.status_code, large.status_code) == (200, 413, 413)
    assert f"Serving {trained} on {server.url} (1 worker)." in said
