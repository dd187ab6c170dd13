"""Names for the registry: refused before anything is logged, in one line."""

from pathlib import Path

import pytest
from histories import everything
from mlflow import MlflowClient

import metamodel
from metamodel.exceptions import InputError
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.events import VersionTags
from metamodel.tracking.registry import check_names, register_version


@pytest.mark.parametrize(
    ("name", "alias", "logged", "problem"),
    [
        (None, "champion", "model", r"An alias needs a registered model\. Give registered_model_name"),
        ("", "champion", "model", "An alias needs a registered model"),
        ("a/b", None, "model", "does not take the name 'a/b' for a model"),
        ("sales", None, "my.model", "does not take the name 'my.model' for a logged model"),
        ("sales", "v2", "model", "does not take the alias 'v2'"),
        ("sales", "Latest", "model", "does not take the alias 'Latest'"),
        ("sales", "two words", "model", "does not take the alias 'two words'"),
    ],
)
def test_names_that_mlflow_does_not_take_are_refused(
    name: str | None, alias: str | None, logged: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        check_names(name, alias, logged)


@pytest.mark.parametrize(("name", "alias"), [(None, None), ("", ""), ("sales", None), ("sales", "champion")])
def test_names_that_mlflow_takes_pass(name: str | None, alias: str | None) -> None:
    assert check_names(name, alias) is None  # type: ignore[func-returns-value]


def _register(name: str, alias: str | None, history: Path) -> int:
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    logged = client.create_logged_model(number, source_run_id=client.create_run(number).info.run_id)
    return register_version(name, logged.model_id, "", {}, alias, history)


def test_an_alias_that_a_version_is_registered_with_is_an_event_like_any_other(tmp_path: Path) -> None:
    name = "registered-with-an-alias"
    versions = [_register(name, alias, tmp_path / "history") for alias in ("champion", None, "champion")]
    assert versions == [1, 2, 3]
    told = [(event.kind, event.alias, event.version, event.replaced) for event in VersionTags().of(name)]
    assert told == [("register", "champion", "1", ""), ("register", "champion", "3", "1")]
    kept = everything(HistoryStore(tmp_path / "history"))["events"].sort_values("time")
    assert kept["version"].tolist() == [1, 3]
    metamodel.rollback(name)
    assert MlflowClient().get_registered_model(name).aliases["champion"] in (1, "1")
