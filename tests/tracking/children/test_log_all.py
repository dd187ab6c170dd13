"""Children logged one by one: what is said of them, what happens to them on the way, and what is found again."""

import posixpath
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_tag_name

import metamodel
from metamodel.bundle.references import Reference, ReferenceSettings
from metamodel.cli import main
from metamodel.exceptions import InputError, LoggingFailed
from metamodel.flavor.remote.rate_limit import RateLimiter
from metamodel.flavor.remote.throttle import Throttle
from metamodel.flavor.remote.throttled_tracking import tracking_throttle
from metamodel.tracking.children.destination import Destination, Logged
from metamodel.tracking.children.group_facts import Group, GroupFacts, tag_names
from metamodel.tracking.children.log_all import _duration, log_groups


# -------- what is said of a group
@given(st.lists(st.text(max_size=300), unique=True, min_size=1, max_size=6))
def test_every_group_column_has_a_tag_of_its_own_that_mlflow_takes(columns: list[str]) -> None:
    names = tag_names(columns)
    assert list(names) == columns
    assert len(set(names.values())) == len(columns)
    for name in names.values():
        _validate_tag_name(name)
        assert 0 < len(name) <= 250
        assert posixpath.normpath(name) == name
        assert not name.startswith(("mlflow.", "metamodel."))


def test_a_column_with_a_plain_name_keeps_it() -> None:
    assert tag_names(["country", "store id"]) == {"country": "country", "store id": "store id"}


def _sales() -> pd.DataFrame:
    """Two countries; one group has too few rows, and one a name with every sign that MLflow minds."""
    rng = np.random.default_rng(0)
    stores = [("FR", "a/b:c.d%\"e'"), ("FR", "é"), ("DE", "x"), ("DE", "short")]
    frame = pd.DataFrame([(c, s, *rng.normal(size=2)) for c, s in stores for _ in range(8)], columns=[*"ck", "u", "v"])
    frame = frame.rename(columns={"c": "country", "k": "store"}).assign(n=lambda table: table.index % 3)
    frame = frame.drop(index=frame.index[frame["store"] == "short"][1:])
    return frame.assign(y=frame["u"] * frame["store"].str.len() + frame["n"])


@pytest.fixture(scope="module")
def sales() -> metamodel.TrainingResult:
    return metamodel.train(_sales(), ["country", "store"], "y", n_jobs=1, unknown="fallback", duplicates="keep")


def _facts(result: metamodel.TrainingResult, *, only_children: bool = False) -> GroupFacts:
    return GroupFacts(result.ledger, result.manifest.keys, only_children=only_children)


def test_tags_name_the_group_and_find_its_child_again(sales: metamodel.TrainingResult) -> None:
    facts = _facts(sales)
    tags = {group.key: facts.tags(group) for group in facts}
    assert tags[("FR", "é")].items() >= {"country": "FR", "store": "é", "metamodel.status": "fitted"}.items()
    assert tags[("FR",)]["country"] == "FR"
    assert "store" not in tags[("FR",)]
    assert tags[("DE", "short")].items() >= {"metamodel.status": "skipped"}.items()
    assert tags[("DE", "short")]["metamodel.reason"]
    assert len({entry["metamodel.group"] for entry in tags.values()}) == len(sales.ledger)


def test_parameters_and_metrics_are_those_of_the_ledger(sales: metamodel.TrainingResult) -> None:
    facts = _facts(sales)
    group = next(group for group in facts if group.key == ("FR", "é"))
    row = sales.ledger[sales.ledger["store"] == "é"].iloc[0]
    assert facts.params(group).items() >= {"estimator": row["estimator"], "rows": "8", "random_state": "0"}.items()
    assert facts.metrics(group)["holdout_rmse"] == pytest.approx(row["holdout_rmse"])
    assert "rows" not in facts.metrics(group, but=["rows"])


def test_only_groups_with_a_child_become_models(sales: metamodel.TrainingResult) -> None:
    keys = {group.key for group in _facts(sales, only_children=True)}
    assert ("DE", "short") not in keys
    assert {("DE", "x"), ("FR",), ()} <= keys


# -------- the work
@dataclass
class Remembering(Destination):
    """Takes groups without a server; some it refuses."""

    facts: GroupFacts
    refused: frozenset[int] = frozenset()
    taken: list[int] = field(default_factory=list)
    logged: dict[str, Logged] = field(default_factory=dict)
    what: str = "models"
    run_id: str = "r1"

    def log(self, group: Group) -> None:
        if group.number in self.refused:
            raise ValueError("the server said no")
        self.taken.append(group.number)
        self.logged[group.digest] = Logged("m-1", group.child_sha256, complete=True)

    def _listed(self, digest: str = "") -> Iterator[tuple[str, Logged]]:
        yield from self.logged.items()

    def _delete(self, key: str, found: Logged) -> None:
        raise AssertionError(key)


class Many(GroupFacts):
    """Groups of a ledger that is repeated."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __len__(self) -> int:
        return self.groups

    def __iter__(self) -> Iterator[Group]:
        return iter(self.take(range(self.groups)))

    def take(self, numbers: Any) -> list[Group]:
        return [Group(number, (number,), {"sha256": f"{number}", "status": "fitted"}) for number in numbers]


def _throttle(rate: float = 1e9) -> Throttle:
    return Throttle(RateLimiter(rate), 1)


def test_the_cost_is_told_before_the_others_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    destination = Remembering(Many(120))
    log_groups(destination, _throttle(), 4)
    assert sorted(destination.taken) == list(range(120))
    said = re.search(r"logging models: 120 groups, about 0\.0 requests and [\d.]+ s a group: ", capsys.readouterr().err)
    assert said


def test_what_is_there_is_not_logged_again() -> None:
    destination = Remembering(Many(40))
    log_groups(destination, _throttle(), 2)
    before = len(destination.taken)
    log_groups(destination, _throttle(), 2)
    assert len(destination.taken) == before


def test_many_groups_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"several requests for each of 501 groups\. The default, 'bundle'"):
        log_groups(Remembering(Many(501)), _throttle(), 4)
    with warnings.catch_warnings():
        log_groups(Remembering(Many(500)), _throttle(), 4)


def test_groups_that_cannot_be_logged_are_named_and_the_others_stay() -> None:
    destination = Remembering(Many(100), refused=frozenset([7, 60]))
    match = (
        r"^2 of 100 groups could not be logged, so nothing was registered \(\[7\], \[60\]: ValueError: the server said "
        r"no\)\. Run r1 holds 98 of them; log again into it, as with MLFLOW_RUN_ID=r1, "
        r"and only what is missing is sent\.$"
    )
    with pytest.raises(LoggingFailed, match=match):
        log_groups(destination, _throttle(), 4)
    destination.refused = frozenset()
    log_groups(destination, _throttle(), 4)
    assert sorted(destination.taken) == list(range(100))


def test_a_server_that_refuses_all_is_not_asked_for_every_group() -> None:
    destination = Remembering(Many(400), refused=frozenset(range(400)))
    with pytest.raises(LoggingFailed, match=r"Run r1 holds 0 of them"):
        log_groups(destination, _throttle(), 4)
    assert not destination.taken


def test_times_are_shown_roughly() -> None:
    assert [_duration(seconds) for seconds in (0.2, 99, 600, 36_000)] == ["1 s", "99 s", "10 min", "10.0 h"]


# -------- into a database of this machine
def _logged(result: metamodel.TrainingResult, **options: Any) -> Any:
    with mlflow.start_run():
        return metamodel.log_model(result, log_children="models", report=False, **options)


@pytest.fixture(scope="module")
def info(sales: metamodel.TrainingResult) -> Any:
    return _logged(sales, detail=True)


def _models(info: Any) -> list[Any]:
    run = mlflow.get_run(info.run_id)
    found = MlflowClient().search_logged_models([run.info.experiment_id], f"source_run_id = '{info.run_id}'")
    return [model for model in found if "metamodel.key" in model.tags]


def _assert_same_answers(result: metamodel.TrainingResult, uri: str, rows: pd.DataFrame, **params: Any) -> None:
    params = {"detail": True, **params}
    before = metamodel.MetaModel(result.bundle_path).predict(rows, params)
    after = metamodel.load_model(uri).predict(rows, params)
    pd.testing.assert_frame_equal(
        after.drop(columns="child_version"), before.drop(columns="child_version"), rtol=1e-9, atol=1e-12
    )


def test_no_server_no_limit() -> None:
    assert tracking_throttle(ReferenceSettings(requests_per_second=1)).limiter.interval == 0


def test_references_answer_as_the_bundle_for_every_status(sales: metamodel.TrainingResult, info: Any) -> None:
    rows = pd.concat([_sales(), _sales().head(2).assign(store="new"), _sales().head(1).assign(country="XX")])
    _assert_same_answers(sales, info.model_uri, rows, unknown="fallback")
    _assert_same_answers(sales, info.model_uri, rows, unknown="null")
    model = metamodel.load_model(info.model_uri)
    assert len(_models(info)) == model.ledger["uri"].ne("").sum() == 6
    assert model.ledger["sha256"].str[:12].isin(model.predict(_sales())["child_version"]).any()
    assert list(model.ledger.columns) == [*sales.ledger.columns, "uri"]


def test_a_new_run_names_the_one_that_an_earlier_attempt_has_left(
    sales: metamodel.TrainingResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: Any) -> None:
        raise RuntimeError("broken off")

    def said() -> str:
        with mlflow.start_run():
            metamodel.log_model(sales, log_children="runs", report=False)
        return capsys.readouterr().err

    with monkeypatch.context() as patch, mlflow.start_run() as left:
        patch.setattr("metamodel.tracking.children.log_groups", broken_off)
        with pytest.raises(RuntimeError, match="broken off"):
            metamodel.log_model(sales, log_children="runs", report=False)
    MlflowClient().set_terminated(left.info.run_id, "FAILED")
    assert f"run {left.info.run_id} of the same training did not end (FAILED)" in said()
    MlflowClient().set_terminated(left.info.run_id, "FINISHED")
    assert "did not end" not in said()


def test_who_may_not_search_runs_may_log(
    sales: metamodel.TrainingResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise MlflowException("no right to search")

    monkeypatch.setattr("metamodel.tracking.children.log_groups", lambda *_: None)
    monkeypatch.setattr(MlflowClient, "search_runs", refused)
    with mlflow.start_run():
        metamodel.log_model(sales, log_children="runs", report=False)
    assert "whether an earlier attempt has left a run cannot be told (" in capsys.readouterr().err


def test_a_logged_child_is_a_model_of_its_own(sales: metamodel.TrainingResult, info: Any) -> None:
    (model,) = [found for found in _models(info) if found.tags.get("store") == "a/b:c.d%\"e'"]
    rows = _sales()[_sales()["store"].str.startswith("a/b")][["u", "v", "n"]].astype(float)
    expected = metamodel.MetaModel(sales.bundle_path).child(("FR", "a/b:c.d%\"e'")).predict(rows)
    uri = f"models:/{model.model_id}"
    np.testing.assert_allclose(mlflow.sklearn.load_model(uri).predict(rows), expected)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(rows), expected)
    assert model.name == "model-FR · a_b_c_d__e_"
    assert {metric.key: metric.value for metric in model.metrics}["train_rmse"] >= 0
    assert model.params["rows"] == "8"
    environment = Path(mlflow.artifacts.download_artifacts(uri)) / "python_env.yaml"
    assert "- scikit-learn==" in environment.read_text()


@pytest.mark.parametrize("codec", ["cloudpickle", "skops"])
def test_classifiers_and_every_kind_of_feature(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAMODEL_TRUSTED_TYPES", "numpy.dtype")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(["a", "b"], 40), "f32": rng.normal(size=80).astype("float32")})
    frame = frame.assign(i=rng.integers(0, 9, 80), flag=rng.random(80) > 0.5, maybe=rng.normal(size=80))
    frame["maybe"] = frame["maybe"].mask(rng.random(80) < 0.2)
    label = np.where(frame["f32"] + frame["flag"] > 0.5, "yes", "no")
    result = metamodel.train(frame.assign(label=label), "g", "label", "logistic_regression", n_jobs=1, codec=codec)
    info = _logged(result, predict_method="predict_proba")
    _assert_same_answers(result, info.model_uri, frame, predict_method="predict_proba")


def test_bytes_that_are_not_those_that_were_logged_are_not_loaded(info: Any) -> None:
    (model,) = [found for found in _models(info) if found.tags.get("store") == "x"]
    path = Path(model.artifact_location.removeprefix("file://")) / "model.pkl"
    path.write_bytes(path.read_bytes() + b" ")
    answers = metamodel.load_model(info.model_uri, cache_bytes=10**8).predict(_sales(), {"detail": True})
    assert set(answers.loc[_sales()["store"].eq("x"), "status"]) == {"failed"}
    assert "not those that were logged" in answers.loc[_sales()["store"].eq("x").idxmax(), "error"]
    assert set(answers.loc[_sales()["country"].eq("FR"), "status"]) == {"child"}


def test_references_without_a_digest_are_written_as_ever() -> None:
    assert b"sha256" not in Reference("models:/m-1").to_json()
    pinned = Reference("models:/m-1", sha256="ab")
    assert Reference.from_json(pinned.to_json()) == pinned


def test_an_unknown_mode_is_refused_before_anything_is_logged(sales: metamodel.TrainingResult) -> None:
    with pytest.raises(InputError, match="log_children"):
        metamodel.log_model(sales, log_children="folders")  # type: ignore[arg-type]


def test_the_command_knows_the_modes() -> None:
    required = ["--data", "sales.csv", "--group-by", "store", "--target", "y"]
    result = CliRunner().invoke(main, ["train", *required, "--log-children", "folders"])
    assert result.exit_code == 2
    assert "log_children='folders' is unknown. Use one of: bundle, models, runs." in result.stderr


@pytest.mark.parametrize("options", [{"shrinkage": "relative", "unknown": "fallback"}, {"interval": 0.8}])
def test_figures_of_the_groups_go_with_the_references(options: dict[str, Any]) -> None:
    frame = pd.concat([_sales()] * 4).assign(u=lambda table: table["u"] + np.arange(len(table)) / 100)
    result = metamodel.train(frame, ["country", "store"], "y", n_jobs=1, **options)
    _assert_same_answers(result, _logged(result).model_uri, frame)
