"""One group rolled back: its answers are the earlier version's, all others the present one's, to the last bit."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import run, strict
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

import metamodel
from metamodel.lifecycle import alias_moves, rollback
from metamodel.tracking.events import Event, VersionTags

KEYS = ["store", "product"]

FEATURES = ["price", "promotion", "trend"]

GROUP = (3, "P002")

OPTIONS: dict[str, dict[str, Any]] = {
    "stacked": {"estimator": "ridge", "interval": 0.9},
    "not stacked": {"estimator": "ridge", "stack": False},
    "trees": {"estimator": "random_forest", "estimator_params": {"n_estimators": 5}},
    "candidates": {"estimator": {"ridge": "ridge", "tree": "decision_tree"}, "unknown": "fallback"},
    "compressed": {"estimator": "random_forest", "estimator_params": {"n_estimators": 20}, "stack": False},
}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return metamodel.datasets.make_store_sales(6, 3, 40, broken=False)


Register = Callable[..., str]


@pytest.fixture(scope="module")
def versions_of(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Register:
    """Register three versions of a model, each trained on fewer rows than the next; the last one is the champion."""
    weeks = np.sort(table["week"].unique())
    logged: dict[str, list[ModelVersion]] = {}  # those of the same options are trained and logged once

    def log(name: str, **options: Any) -> None:
        given = {"pooled": False, "prune": False, "features": FEATURES, "n_jobs": 1, "time_column": "week", **options}
        directory = tmp_path_factory.mktemp("versions")
        for stop in (24, 32, 40):
            rows = table[table["week"].isin(weeks[:stop])]
            result = metamodel.train(rows, KEYS, "units", output_dir=directory / f"{stop}", **given)
            metamodel.log_model(result, registered_model_name=name, report=False)

    def register(**options: Any) -> str:
        name = f"group-rollback-{next(_numbers)}"
        if versions := logged.get(repr(options)):
            register_again(versions, name)
        else:
            log(name, **options)
            logged[repr(options)] = [MlflowClient().get_model_version(name, str(number)) for number in (1, 2, 3)]
        metamodel.promote(name, 3)
        return name

    return register


def register_again(versions: list[ModelVersion], name: str) -> None:
    """Register the models of another name's versions, as their logging did."""
    client = MlflowClient()
    client.create_registered_model(name)
    for version in versions:
        facts = {"tags": version.tags, "description": version.description, "model_id": version.model_id}
        client.create_model_version(name, version.source, **facts)


def answers(name: str, version: int | str, frame: pd.DataFrame) -> pd.DataFrame:
    return metamodel.load_model(f"models:/{name}/{version}").predict(frame, {"detail": True})


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_group_answers_as_before_and_all_others_as_now(
    table: pd.DataFrame, versions_of: Register, kind: str
) -> None:
    name = versions_of(**OPTIONS[kind])
    event, moved = metamodel.rollback(name, 1, group=GROUP)
    assert moved
    assert event is not None
    assert (event.version, event.replaced, event.group, event.group_version) == ("4", "3", '[3,"P002"]', "1")

    ours = ((table["store"] == GROUP[0]) & (table["product"] == GROUP[1])).to_numpy()
    made, before, now = (answers(name, version, table) for version in (4, 1, 3))
    pd.testing.assert_frame_equal(made[ours], before[ours], check_exact=True)
    pd.testing.assert_frame_equal(made[~ours], now[~ours], check_exact=True)
    assert not before[ours]["prediction"].equals(now[ours]["prediction"])
    # One row at a time takes other ways through the stacks.
    for rows in (table[ours].head(1), table[~ours].head(1)):
        pd.testing.assert_frame_equal(answers(name, 4, rows), made.loc[rows.index], check_exact=True)

    models = {version: metamodel.load_model(f"models:/{name}/{version}") for version in (1, 3, 4)}
    assert models[4].bundle.damaged_files() == []
    assert models[4].bundle.damaged_groups() == {}
    digests = {version: digest_of_each(model) for version, model in models.items()}
    assert digests[4] == {**digests[3], GROUP: digests[1][GROUP]}
    assert models[4].manifest.counts["carried"] == sum(bool(digest) for digest in digests[4].values())
    stacked = {version: sum(stack["children"] for stack in model.manifest.stacks) for version, model in models.items()}
    assert stacked[4] == stacked[3]
    row = models[4].ledger.set_index(KEYS).loc[GROUP]
    assert row["retrain_reason"] == "rollback: version 1"
    assert row["trained_version"] == models[1].bundle.digest[:12]


def digest_of_each(model: Any) -> dict[Any, str]:
    ledger = model.ledger
    keys = zip(*(ledger[name] for name in KEYS), strict=True)
    return dict(zip(keys, ledger["sha256"], strict=True))


def test_a_version_that_was_updated_from_the_one_that_was_rolled_back_carries_it(
    table: pd.DataFrame, versions_of: Register, tmp_path: Path
) -> None:
    name = versions_of(estimator="ridge")
    metamodel.rollback(name, 1, group=GROUP)
    made = metamodel.load_model(f"models:/{name}/4")
    updated = metamodel.update(made, table, retrain="failed", output_dir=tmp_path / "next")
    pd.testing.assert_series_equal(
        metamodel.MetaModel(updated.bundle_path).predict(table)["prediction"],
        made.predict(table)["prediction"],
        check_exact=True,
    )


def test_a_group_is_not_given_the_child_that_it_has(table: pd.DataFrame, versions_of: Register, tmp_path: Path) -> None:
    name = versions_of(estimator="ridge", interval=0.9)
    updated = metamodel.update(f"models:/{name}/3", table, retrain="failed", output_dir=tmp_path / "next")
    metamodel.log_model(updated, registered_model_name=name, report=False)
    metamodel.promote(name, 4)
    for version in (3, 4):
        with pytest.raises(
            metamodel.InputError, match=rf"^Group \[3, 'P002'\] has that child already: .* of version {version}"
        ):
            metamodel.rollback(name, version, group=GROUP)
    assert len(MlflowClient().search_model_versions(f"name = '{name}'")) == 4


def test_the_command_says_what_it_did_and_versions_shows_the_group(versions_of: Register) -> None:
    name = versions_of(estimator="ridge")
    result = run("rollback", name, "--version", "1", "--group", '[3, "P002"]')
    assert result.stdout == f"{name} 4 is champion now, which replaces version 3.\n", result.stderr
    listed = strict(run("versions", name, "--json").stdout)
    assert (listed["versions"][0]["fitted"], listed["versions"][0]["failed"]) == ("0", "0")
    shown = listed["events"][0]
    assert (shown["kind"], shown["group"], shown["group_version"]) == ("rollback", '[3,"P002"]', "1")
    differing = strict(run("versions", name, "--diff", "3", "4", "--json").stdout)
    assert [(row["group"], row["reason"]) for row in differing["groups"]] == [("3 · P002", "rollback: version 1")]
    assert differing["counts"]["kept"] == 17
    back = run("rollback", name)
    assert back.stdout == f"{name} 3 is champion now, which replaces version 4.\n", back.stderr


@pytest.mark.parametrize("step", ["made", "moved"])
def test_interrupted_the_same_call_goes_on_with_the_version_that_was_made(
    versions_of: Register, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    name = versions_of(estimator="ridge")

    def killed(self: VersionTags, event: Event) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "moved":
            patch.setattr(VersionTags, "append", killed)
        else:
            patch.setattr(rollback, "move_alias", lambda move, log: killed(VersionTags(), move.event))
        with pytest.raises(KeyboardInterrupt):
            metamodel.rollback(name, 1, group=GROUP, expect=3)
    metamodel.rollback(name, 1, group=GROUP, expect=3)
    assert len(MlflowClient().search_model_versions(f"name = '{name}'")) == 4
    assert [(event.replaced, event.version) for event in VersionTags().of(name)] == [("", "3"), ("3", "4")]
    model = MlflowClient().get_registered_model(name)
    assert model.aliases["champion"] in ("4", 4)
    assert not [tag for tag in model.tags if tag.startswith(alias_moves._CLAIM_TAG)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": GROUP}, "Give --version N beside --group"),
        ({"version": 9, "group": GROUP}, r"has no version 9"),
        ({"version": 1, "group": (3, "P999")}, r"Version 1 has no child of group \[3, 'P999'\]: it does not know it"),
        ({"version": 1, "group": "3"}, "3"),
        ({"version": 1, "group": GROUP, "expect": 2}, "points at version 3, not at the expected 2"),
    ],
)
def test_bad_input_is_one_line_and_makes_no_version(registered: str, arguments: Any, message: str) -> None:
    with pytest.raises(metamodel.InputError, match=message):
        metamodel.rollback(registered, **arguments)
    assert len(MlflowClient().search_model_versions(f"name = '{registered}'")) == 3


@pytest.fixture(scope="module")
def registered(versions_of: Register) -> str:
    return versions_of(estimator="ridge")


def test_a_group_that_is_blended_with_a_parent_that_has_changed_is_refused(versions_of: Register) -> None:
    name = versions_of(estimator="ridge", shrinkage="equal")
    with pytest.raises(metamodel.InputError, match=r"are blended with those of its parent .*, which is another"):
        metamodel.rollback(name, 1, group=GROUP)


def test_versions_with_other_features_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    name = f"group-rollback-{next(_numbers)}"
    for features in (["price"], ["price", "trend"]):
        path = tmp_path / str(len(features))
        result = metamodel.train(table, KEYS, "units", "ridge", features=features, n_jobs=1, output_dir=path)
        metamodel.log_model(result, registered_model_name=name, report=False)
    metamodel.promote(name, 2)
    with pytest.raises(metamodel.InputError, match="Version 1 has another list of features than the present one"):
        metamodel.rollback(name, 1, group=GROUP)
