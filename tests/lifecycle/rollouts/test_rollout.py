"""A canary from its first units to the whole: each step is a new version or a move of the alias, never an edit."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from command_line import run
from histories import everything
from mlflow import MlflowClient
from rolled_out import alias_of, panel, results, versions

import metamodel
from metamodel.exceptions import InputError
from metamodel.lifecycle.rollouts.moves import promote_challenger, raise_fraction
from metamodel.lineage.history_store import HistoryStore


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[metamodel.TrainingResult]:
    """Two trainings, of which each test registers versions of its own."""
    return results(tmp_path_factory.mktemp("trainings"), panel(), panel(shift=5.0, shifted=3))


@pytest.fixture
def sales(trainings: list[metamodel.TrainingResult]) -> str:
    return versions(*trainings)


def customers(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame({"shop": np.arange(n) % 12, "x": rng.normal(size=n), "z": 0.5, "customer_id": np.arange(n)})


def variants(name: str) -> pd.Series:
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    return model.predict(customers(), params={"detail": True})["variant"]


def test_a_canary_grows_by_new_versions_and_moves_nobody_back(sales: str) -> None:
    champion, challenger = f"models:/{sales}@champion", f"models:/{sales}/2"
    begun = metamodel.rollout(
        champion, challenger, "canary", 0.1, ["customer_id"], register=sales, alias="champion", salt="s"
    )
    assert (begun.version, begun.differing, alias_of(sales)) == ("3", 3, "3")
    first = variants(sales)
    raised = raise_fraction(champion, 0.5)
    assert (raised.version, raised.rollout.fraction, alias_of(sales)) == ("4", 0.5, "4")
    second = variants(sales)
    assert 0 < (first == "challenger").sum() < (second == "challenger").sum() < len(second)
    assert not ((first == "challenger") & (second == "champion")).any()
    event, moved = promote_challenger(champion)
    assert moved
    assert event is not None
    assert (event.kind, event.version, event.replaced, alias_of(sales)) == ("promote", "2", "4", "2")
    assert [number for number, _ in states(sales)] == ["1", "2", "3", "4"]


def states(name: str) -> list[tuple[str, str]]:
    found = MlflowClient().search_model_versions(f"name = '{name}'")
    return sorted((str(version.version), version.source) for version in found)


def test_the_signature_has_the_entity_and_the_version_says_what_it_is(sales: str) -> None:
    made = metamodel.rollout(f"models:/{sales}/1", f"models:/{sales}/2", "ab", 0.5, "customer_id", register=sales)
    model = mlflow.pyfunc.load_model(f"models:/{sales}/{made.version}")
    assert model.metadata.get_input_schema().input_names() == ["shop", "x", "z", "customer_id"]
    tag = json.loads(MlflowClient().get_model_version(sales, made.version).tags["metamodel.rollout"])
    assert (tag["mode"], tag["fraction"], tag["challenger"]["version"]) == ("ab", 0.5, "2")
    columns = set(model.predict(customers()))
    assert columns == {"prediction", "status"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"features": ["x"]}, "features"),
        ({"interval": 0.9}, "columns of answers"),
    ],
)
def test_models_that_do_not_fit_together_are_refused_in_one_line(
    trainings: list[metamodel.TrainingResult], tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    one = versions(trainings[0])
    other = versions(*results(tmp_path, panel(), **options))
    with pytest.raises(InputError, match=f"do not fit together: the challenger has other .*{what}") as error:
        metamodel.rollout(f"models:/{one}/1", f"models:/{other}/1")
    assert "\n" not in str(error.value)


def test_a_roll_out_of_a_roll_out_is_refused(sales: str) -> None:
    metamodel.rollout(f"models:/{sales}/1", f"models:/{sales}/2", register=sales)
    with pytest.raises(InputError, match="is a roll-out already"):
        metamodel.rollout(f"models:/{sales}/3", f"models:/{sales}/2")


def test_units_are_asked_for_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="needs units that keep their model"):
        metamodel.rollout("nowhere", "nowhere", "ab")


def test_the_commands_walk_the_same_way(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    options = ("--mode", "canary", "--fraction", "0.01", "--entity", "customer_id")
    begun = run("rollout", champion, f"models:/{sales}/2", *options, "--register", sales, "--alias", "champion")
    assert begun.exit_code == 0, begun.output
    assert f"{sales} 3: canary of 0.01 of the units" in begun.output
    raised = run("rollout", champion, "--raise", "0.1", "--json")
    assert raised.exit_code == 0, raised.output
    assert (raised.exit_code, json.loads(raised.stdout)["fraction"]) == (0, 0.1)
    promoted = run("rollout", champion, "--promote")
    assert (promoted.exit_code, alias_of(sales)) == (0, "2")
    refused = run("rollout", champion)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "Give a CHALLENGER, or one of --raise, --end and --promote" in refused.stderr


def test_a_roll_outs_version_stands_in_the_history_with_its_champions_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAMODEL_HISTORY", str(tmp_path / "history"))
    sales = versions(*results(tmp_path, panel(), panel(shift=5.0, shifted=3)))
    metamodel.rollout(f"models:/{sales}@champion", f"models:/{sales}/2", register=sales, alias="champion")
    past = metamodel.history(sales, group=(0,))
    assert past["status"].tolist() == ["fitted", "fitted", "carried"]
    assert past["child_version"].tolist() == [1, 2, 1]
    assert past["run_id"].iloc[0] == past["run_id"].iloc[2] != past["run_id"].iloc[1]
    assert metamodel.explain(f"models:/{sales}", (0,)).answered["version"].tolist() == [3]
    metamodel.history(sales, rebuild=True, history=tmp_path / "again")
    written, again = (everything(HistoryStore(tmp_path / name)) for name in ("history", "again"))
    for table, rows in written.items():
        pd.testing.assert_frame_equal(again[table], rows)
