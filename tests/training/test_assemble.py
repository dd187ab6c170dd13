"""What the tasks of a training hand back becomes one bundle: ledger, manifest, summary, and nothing beside it."""

import overridden
import pandas as pd
import pytest
from children import RaisesOnMark, RaisesOnPredict
from linear_groups import fit, marked, table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from metamodel.bundle.model import MetaModel
from metamodel.exceptions import AllGroupsFailed, InputError
from metamodel.training.train import train


def test_an_override_of_the_same_name_does_not_hide_what_all_others_are() -> None:
    own = [{"country": "FR", "store": 1, "estimator_params": {"alpha": 500.0}}]
    manifest = overridden.fit(overridden.table(), own).manifest
    assert manifest.options["candidates"]["ridge"]["params"] == '{"random_state": 0}'


def test_what_children_need_holds_for_every_candidate_of_one_name() -> None:
    frame = overridden.table().assign(y=lambda f: f["y"] > 0)
    own = [{"country": "FR", "store": 1, "estimator": SVC()}]
    options = {"estimator": {"SVC": make_pipeline(StandardScaler(), LogisticRegression())}, "overrides": own}
    result = train(frame, ["country", "store"], "y", n_jobs=1, **options)
    candidate = result.manifest.options["candidates"]["SVC"]
    assert (candidate["estimator"], candidate["predict_proba"]) == ("StandardScaler > LogisticRegression", False)


def test_every_group_and_every_parent_has_a_ledger_row():
    frame = table().assign(h=lambda t: t.index % 2)
    result = fit(frame, group_by=["g", "h"], unknown="fallback", prune=False)
    assert result.ledger["level"].value_counts().to_dict() == {2: 8, 1: 4, 0: 1}
    assert result.ledger.loc[result.ledger["level"] == 1, "h"].isna().all()


def test_the_ledger_has_its_columns_in_order():
    metrics = [f"{part}_{name}" for part in ("train", "holdout", "baseline") for name in ("mae", "rmse", "r2")]
    assert list(fit(table()).ledger) == [
        *["g", "level", "status", "reason", "error", "rows", "seconds", "estimator", "params", *metrics],
        *["candidate", "own_best", "folds", "baseline", "skill", "duplicates", "imbalance", "started_from"],
        *["fingerprint", "fresh_rows", "gain", "gain_se", "p_value_incumbent", "shard", "bytes", "sha256", "warnings"],
        *["trained_version", "trained_at", "data_through", "rows_seen", "retrain_reason", "decision", "decided_by"],
        *["missing_since", "stack"],
        *[
            "compared_rows",
            "error_saved",
            "error_saved_global",
            "error_saved_pooled",
            "p_value",
            "p_value_adjusted",
            "better_than_parent",
        ],
    ]


def test_the_summary_counts_groups_and_rows():
    frame = marked("g1").assign(h=lambda t: t.index % 2)
    frame.loc[0, "g"] = None
    summary = fit(frame, RaisesOnMark(), null_keys="drop", features=["a", "b"], unknown="fallback", prune=False).summary
    expected = {
        "groups": 4,
        "groups_fitted": 3,
        "groups_skipped": 0,
        "groups_failed": 1,
        "rows": 119,
        "rows_dropped": 1,
    }
    assert {name: summary[name] for name in expected} == expected
    assert (summary["parents_fitted"], summary["unanswered_groups"]) == (0, 1)


def test_the_summary_says_how_often_a_parent_would_answer():
    frame = pd.concat([table(), table().iloc[:1].assign(g="tiny")])
    summary = fit(frame, unknown="fallback", prune=False).summary
    assert (summary["fallback_groups"], summary["unanswered_groups"]) == (1, 0)
    assert summary["fallback_row_share"] == pytest.approx(1 / 121)


def test_nothing_but_the_bundle_is_left_behind(tmp_path):
    fit(table(), output_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            RaisesOnMark(),
            r"None of 2 groups could be fitted, .*2 groups: ValueError: this group is marked. Correct the",
        ),
        (
            RaisesOnPredict(),
            r"None of 2 groups could be fitted, .*2 groups: RuntimeError: no prediction today. Correct",
        ),
    ],
    ids=repr,
)
def test_all_groups_failing_leaves_nothing_behind(tmp_path, estimator, message):
    with pytest.raises(AllGroupsFailed, match=message):
        fit(marked("g0", "g1", frame=table(groups=2)), estimator, output_dir=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_holds_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("three years of work")
    with pytest.raises(
        InputError, match=r"out exists and is no bundle. Name another output directory, or empty this one"
    ):
        fit(table(), output_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


def test_a_file_in_the_place_of_the_bundle_is_refused(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="out exists and is no bundle"):
        fit(table(), output_dir=tmp_path / "out")


def test_training_again_replaces_the_bundle(tmp_path):
    first = fit(table(groups=2), output_dir=tmp_path / "out")
    second = fit(table(groups=3), output_dir=tmp_path / "out")
    assert (len(first.ledger), len(MetaModel(second.bundle_path).ledger)) == (2, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_training_again_in_vain_keeps_the_bundle(tmp_path):
    fit(table(groups=2), output_dir=tmp_path / "out")
    with pytest.raises(AllGroupsFailed, match="None of 1 group could be fitted"):
        fit(marked("g0", frame=table(groups=1)), RaisesOnMark(), output_dir=tmp_path / "out")
    assert len(MetaModel(tmp_path / "out").ledger) == 2


def test_a_bundle_whose_replacement_was_cut_short_is_put_back(tmp_path):
    fit(table(groups=2), output_dir=tmp_path / "out")
    (tmp_path / ".out.work").mkdir()
    (tmp_path / "out").rename(tmp_path / ".out.work" / "old")
    with pytest.raises(AllGroupsFailed, match="None of 1 group could be fitted"):
        fit(marked("g0", frame=table(groups=1)), RaisesOnMark(), output_dir=tmp_path / "out")
    assert len(MetaModel(tmp_path / "out").ledger) == 2
