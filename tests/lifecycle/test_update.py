"""An update retrains the groups that need it, and carries all others over as they were, to the last bit."""

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from children import MARK, RaisesOnMark
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from spark_tables import in_cells
from weekly_panel import FEATURES, children_of, panel, stack_rows, status_of, stored_blobs, values_of

import metamodel
from metamodel.bundle.carry.contests import read_contests
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import InputError

KEYS = ["country", "shop"]
OPTIONS: dict[str, Any] = {"features": FEATURES, "time_column": "week", "n_jobs": 1}


def first(frame: pd.DataFrame, estimator: Any = "ridge", **options: Any) -> metamodel.TrainingResult:
    return metamodel.train(frame, KEYS, "sales", estimator, **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def before() -> metamodel.TrainingResult:
    """A model with parents, weights and intervals."""
    return first(panel(), unknown="fallback", shrinkage="relative", interval=0.8, prune=False, pooled=False)


@pytest.fixture(scope="module")
def plain() -> metamodel.TrainingResult:
    """A model with nothing but children."""
    return first(panel())


@pytest.fixture(scope="module")
def two_shops() -> metamodel.TrainingResult:
    return first(panel(range(2)))


@pytest.fixture(scope="module")
def after(before: metamodel.TrainingResult) -> metamodel.TrainingResult:
    """Its update by a table with a new shop, one listed, and one that is gone."""
    table = panel([*range(1, 12), 20])
    return metamodel.update(before.bundle_path, table, retrain_list=[("FR", 1)])


def test_only_the_groups_that_need_it_are_retrained_and_the_ledger_says_why(after: metamodel.TrainingResult) -> None:
    reasons = {shop: why for shop, why in status_of(after.ledger, "retrain_reason").items() if why}
    assert reasons == {1: "listed", 20: "new"}
    fitted = {shop for shop, status in status_of(after.ledger).items() if status == "fitted"}
    assert (fitted, set(status_of(after.ledger).values())) == ({1, 20}, {"fitted", "carried"})


def test_carried_children_values_and_stack_rows_are_the_same_bytes(
    before: metamodel.TrainingResult, after: metamodel.TrainingResult
) -> None:
    old, new = MetaModel(before.bundle_path), MetaModel(after.bundle_path)
    carried = [key for key in children_of(old) if key != '["FR",1]']
    assert len(carried) == 11 + 3 + 1
    for of_all in (children_of, stored_blobs, stack_rows):
        assert {key: of_all(old)[key] for key in carried} == {key: of_all(new)[key] for key in carried}
    assert values_of(old, carried) == values_of(new, carried)


def test_carried_groups_answer_as_before_to_the_last_bit(
    before: metamodel.TrainingResult, after: metamodel.TrainingResult
) -> None:
    rows = panel([shop for shop in range(12) if shop != 1])
    old, new = (MetaModel(one.bundle_path).predict(rows) for one in (before, after))
    pd.testing.assert_frame_equal(old, new, check_exact=True)


def test_a_carried_row_keeps_its_figures_and_says_where_its_child_is_from(
    before: metamodel.TrainingResult, after: metamodel.TrainingResult
) -> None:
    old, new = (one.ledger[one.ledger["shop"].isin([2, 3, 4])].reset_index(drop=True) for one in (before, after))
    assert set(new["trained_version"]) == {MetaModel(before.bundle_path).bundle.digest[:12]}
    moved = ["status", "shard", "trained_version", "decision"]
    pd.testing.assert_frame_equal(old.drop(columns=moved), new.drop(columns=moved), check_exact=True)
    held, kept = (MetaModel(one.bundle_path).bundle.read_table("holdout.parquet") for one in (before, after))
    assert held is not None
    assert kept is not None
    assert set(held["key"]) | {'["IT",20]'} == set(kept["key"])
    same = [table[table["key"] == '["IT",2]'].reset_index(drop=True).astype({"key": str}) for table in (held, kept)]
    pd.testing.assert_frame_equal(*same, check_exact=True)


def test_a_group_that_is_gone_keeps_its_child_until_it_is_missing_for_too_long(
    before: metamodel.TrainingResult, after: metamodel.TrainingResult
) -> None:
    assert status_of(after.ledger, "missing_since")[0].startswith("2026-10-05")
    later = panel([*range(1, 12), 20], weeks=60)
    third = metamodel.update(after.bundle_path, later, keep_missing="52w")
    assert (status_of(third.ledger)[0], status_of(third.ledger, "missing_since")[0][:10]) == ("carried", "2026-10-05")
    fourth = metamodel.update(third.bundle_path, later, keep_missing="10w")
    assert status_of(fourth.ledger)[0] == "retired"
    assert fourth.ledger.loc[fourth.ledger["status"] == "retired", "reason"].str.startswith("missing_since:").all()
    answers = MetaModel(fourth.bundle_path).predict(panel([0]), {"unknown": "null"})
    assert set(answers["status"]) == {"unknown_group"}
    fifth = metamodel.update(fourth.bundle_path, later)
    assert 0 not in status_of(fifth.ledger)


def test_a_group_that_is_back_is_new(before: metamodel.TrainingResult) -> None:
    gone = metamodel.update(before.bundle_path, panel(range(1, 12), weeks=60), keep_missing="1w")
    again = metamodel.update(gone.bundle_path, panel(range(1, 12), weeks=62), keep_missing="1w")
    assert status_of(again.ledger)[0] == "retired"
    back = metamodel.update(again.bundle_path, panel(weeks=60))
    assert status_of(back.ledger, "retrain_reason")[0] == "new"


def test_a_group_whose_fit_fails_keeps_the_child_it_had_and_is_tried_again() -> None:
    table = panel(range(3))
    old = first(table, RaisesOnMark())
    broken = table.assign(price=table["price"].where(table["shop"] != 1, MARK))
    new = metamodel.update(old.bundle_path, broken, retrain="all")
    row = new.ledger[new.ledger["shop"] == 1].iloc[0]
    assert (row["status"], row["reason"], "this group is marked" in row["error"]) == ("carried", "kept: error", True)
    assert children_of(MetaModel(new.bundle_path))['["FR",1]'] == children_of(MetaModel(old.bundle_path))['["FR",1]']
    mended = metamodel.update(new.bundle_path, table)
    assert status_of(mended.ledger, "retrain_reason") == {0: "", 1: "failed", 2: ""}
    assert status_of(mended.ledger, "error") == {0: "", 1: "", 2: ""}


def test_a_damaged_child_is_trained_again_and_never_carried(tmp_path: Path) -> None:
    old = first(panel(range(3)), output_dir=tmp_path / "old")
    (shard,) = (tmp_path / "old" / "shards").glob("*.sqlite")
    with closing(sqlite3.connect(shard)) as connection, connection:
        connection.execute("UPDATE children SET child = zeroblob(10) WHERE key = '[\"FR\",1]'")
    new = metamodel.update(tmp_path / "old", panel(range(3)))
    assert status_of(new.ledger, "retrain_reason") == {0: "", 1: "damaged", 2: ""}
    expected = dict(zip(old.ledger["shop"], old.ledger["sha256"], strict=True))
    assert dict(zip(new.ledger["shop"], new.ledger["sha256"], strict=True)) == expected


def test_new_groups_that_no_rule_asks_for_have_a_row_and_no_child(before: metamodel.TrainingResult) -> None:
    new = metamodel.update(before.bundle_path, panel([*range(12), 20]), retrain="failed")
    row = new.ledger[new.ledger["shop"] == 20].iloc[0]
    assert (row["status"], row["reason"]) == ("skipped", "not_retrained: no rule asks for new groups")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"retrain": "stale", "max_age": "8w"}, {0: "stale: 10 weeks", 1: ""}),
        ({"retrain": "stale", "min_new_rows": 0.2}, {0: "rows: +25 %", 1: ""}),
        ({"retrain": "changed"}, {0: "changed: other rows", 1: ""}),
        ({"retrain": "all"}, {0: "all", 1: "all"}),
    ],
)
def test_each_rule_finds_its_groups(
    two_shops: metamodel.TrainingResult, rules: dict[str, Any], expected: dict[int, str]
) -> None:
    table = pd.concat([panel([0], weeks=50), panel([1])])
    assert status_of(metamodel.update(two_shops.bundle_path, table, **rules).ledger, "retrain_reason") == expected


def test_the_same_call_twice_gives_the_same_manifest_but_for_what_is_measured(
    before: metamodel.TrainingResult, tmp_path: Path
) -> None:
    manifests = []
    for name in ("one", "two"):
        metamodel.update(before.bundle_path, panel([*range(12), 20]), output_dir=tmp_path / name)
        described = json.loads((tmp_path / name / "manifest.json").read_text())
        described["counts"].pop("resident_bytes")
        # The ledger has seconds; the shard of what was fitted, the memory that each child takes.
        timed = ("ledger.parquet", "shards/00000.sqlite")
        described["files"] = {file: entry for file, entry in described["files"].items() if file not in timed}
        manifests.append({name: value for name, value in described.items() if name != "created"})
    assert manifests[0] == manifests[1]


def test_a_forest_s_stack_is_gathered_too() -> None:
    forest = RandomForestRegressor(3, max_depth=3, random_state=0)
    old = first(panel(range(4)), forest)
    new = metamodel.update(old.bundle_path, panel([*range(4), 8]), retrain_list=[("FR", 1)])
    rows = panel([0, 2, 3])
    models = [MetaModel(one.bundle_path) for one in (old, new)]
    assert {key: stack_rows(models[0])[key] for key in ['["DE",0]', '["IT",2]']} == {
        key: stack_rows(models[1])[key] for key in ['["DE",0]', '["IT",2]']
    }
    answers = [model.predict(rows) for model in models]
    pd.testing.assert_frame_equal(*answers, check_exact=True)
    assert models[1].stats()["rows_stacked"] == len(rows)


def test_compressed_children_are_carried_as_they_are_stored_and_shards_stay_few() -> None:
    model = first(panel(range(80), weeks=12))
    assert MetaModel(model.bundle_path).manifest.compression == "zstd"
    for week in range(10):
        listed = [(["DE", "FR", "IT"][shop % 3], shop) for shop in (week, week + 40)]
        following = metamodel.update(model.bundle_path, panel(range(80), weeks=12), retrain_list=listed)
        old, new = (stored_blobs(MetaModel(one.bundle_path)) for one in (model, following))
        same = sum(old[key] == new[key] for key in old)
        assert same >= 60
        model = following
    assert len(list((model.bundle_path / "shards").glob("*.sqlite"))) <= 4
    assert MetaModel(model.bundle_path).bundle.damaged_groups() == {}


def test_a_model_knows_how_it_was_trained() -> None:
    overrides = [{"country": "DE", "shop": 3, "estimator": Ridge(7.0)}, {"country": "FR", "shop": 1, "skip": True}]
    candidates = {"mine": Ridge(3.0), "line": LinearRegression()}
    old = first(panel(range(6)), candidates, overrides=overrides, interval=0.8, random_state=5, holdout=0.3)
    new = metamodel.update(old.bundle_path, panel(range(2, 6)), retrain="all")
    assert '"alpha": 7.0' in status_of(new.ledger, "params")[3]  # and the other override's shop is gone
    again = metamodel.update(old.bundle_path, panel(range(6)), retrain="all")
    assert again.manifest.spec_digest == old.manifest.spec_digest
    assert status_of(again.ledger, "sha256") == status_of(old.ledger, "sha256")
    assert '"alpha": 7.0' in status_of(again.ledger, "params")[3]
    other = metamodel.update(old.bundle_path, panel(range(6)), retrain="all", estimator="ridge", overrides=None)
    assert set(status_of(other.ledger, "candidate").values()) == {"ridge"}


def test_contests_of_carried_groups_are_kept_for_the_next_choice() -> None:
    candidates = {"line": LinearRegression(), "mean": Ridge(1e9)}
    old = first(panel(range(4)), candidates)
    new = metamodel.update(old.bundle_path, panel([*range(4), 9]))
    before, after = (read_contests(MetaModel(one.bundle_path).bundle) for one in (old, new))
    assert len(before) == 4
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {'["DE",9]'}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"shop": str}, {}, r"differs in its group columns: shop \(integer\) before, shop \(string\) now"),
        (
            {"price": str},
            {"estimator": "decision_tree"},
            r"its features: price \(number\) before, price \(string\) now",
        ),
        ({}, {"features": FEATURES[::-1]}, r"differs in its features: the order was price \(number\), promotion"),
        ({}, {"codec": "joblib"}, "differs in its codec: cloudpickle before, joblib now"),
        ({}, {"interval": 0.9}, "differs in its interval: 0.8 before, 0.9 now"),
        ({}, {"shrinkage": "equal"}, "differs in its shrinkage"),
        ({}, {"retrain_list": [("FR", 99)]}, r"retrain_list names 1 group that this table does not have: \('FR', 99\)"),
        ({}, {"retrain": "old"}, "retrain names 'old'"),
        ({}, {"estimater": "ridge"}, r"update has no option 'estimater'.* Did you mean 'estimator'\?"),
        ({}, {"max_age": "soon"}, "max_age='soon' is no length of time"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_written(
    before: metamodel.TrainingResult, tmp_path: Path, change: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        metamodel.update(before.bundle_path, panel().astype(change), output_dir=tmp_path / "new", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_update_in_place_of_the_bundle_itself(tmp_path: Path) -> None:
    first(panel(range(3)), output_dir=tmp_path / "model")
    rows = MetaModel(tmp_path / "model").predict(panel(range(3)))
    metamodel.update(tmp_path / "model", panel([*range(3), 9]), output_dir=tmp_path / "model")
    pd.testing.assert_frame_equal(rows, MetaModel(tmp_path / "model").predict(panel(range(3))), check_exact=True)
    assert len(MetaModel(tmp_path / "model").ledger) == 4


def test_nothing_to_retrain_is_the_same_model_again(
    before: metamodel.TrainingResult, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "metamodel"):
        new = metamodel.update(before.bundle_path, panel())
    assert set(new.ledger["status"]) == {"carried"}
    assert status_of(new.ledger, "sha256") == status_of(before.ledger, "sha256")


def test_groups_that_the_pooled_model_answers_are_answered_by_it_further_on() -> None:
    alike = panel(range(6), weeks=12).assign(sales=lambda frame: frame["price"] * 3 + frame["shop"])
    old = first(alike, unknown="fallback", pooled=True, prune=False, interval=0.8)
    assert "pooled" in set(old.ledger["status"])
    new = metamodel.update(old.bundle_path, alike)
    assert new.ledger["status"].replace("carried", "fitted").tolist() == old.ledger["status"].tolist()
    answers = [MetaModel(one.bundle_path).predict(alike) for one in (old, new)]
    pd.testing.assert_frame_equal(*answers, check_exact=True)


def changed_panel() -> pd.DataFrame:
    """Twelve more weeks, in which the price works otherwise in three shops."""
    table = panel(weeks=52)
    new = (table["shop"] < 3) & (table["week"] >= "2026-10-12")
    return table.assign(sales=table["sales"] + 8 * table["price"].where(new, 0.0))


def test_a_new_child_wins_group_by_group_on_fresh_rows_alone(plain: metamodel.TrainingResult) -> None:
    new = metamodel.update(plain.bundle_path, changed_panel(), max_age="8w")
    assert set(status_of(new.ledger, "retrain_reason").values()) == {"stale: 12 weeks"}
    assert set(status_of(new.ledger, "fresh_rows").values()) == {12}
    decisions = status_of(new.ledger, "decision")
    assert {decisions[shop] for shop in range(3)} == {"replaced"}
    kept = [shop for shop, decision in decisions.items() if decision == "incumbent_kept"]
    assert len(kept) >= 4
    old_digests, new_digests = (status_of(one.ledger, "sha256") for one in (plain, new))
    assert {shop: new_digests[shop] for shop in kept} == {shop: old_digests[shop] for shop in kept}
    rows = changed_panel()[changed_panel()["shop"].isin(kept)]
    answers = [MetaModel(one.bundle_path).predict(rows) for one in (plain, new)]
    pd.testing.assert_frame_equal(*answers, check_exact=True)
    assert MetaModel(new.bundle_path).bundle.damaged_groups() == {}


def test_the_pooled_model_answers_no_group_that_keeps_its_child() -> None:
    before = first(panel(), unknown="fallback", prune=False)
    after = metamodel.update(before.bundle_path, changed_panel(), retrain="all", pooled=True)
    kept = {shop for shop, decision in status_of(after.ledger, "decision").items() if decision == "incumbent_kept"}
    assert len(kept) >= 4
    assert {status_of(after.ledger)[shop] for shop in kept} == {"carried"}
    rows = panel(kept)
    old, new = (MetaModel(result.bundle_path).predict(rows) for result in (before, after))
    pd.testing.assert_frame_equal(old, new, check_exact=True)
    of_kept = [name for name in before.holdout["key"].cat.categories if json.loads(name)[-1] in kept]
    held_before, held_after = (
        result.holdout[result.holdout["key"].isin(of_kept)].reset_index(drop=True).astype({"key": str})
        for result in (before, after)
    )
    pd.testing.assert_frame_equal(held_after[list(held_before)], held_before, check_exact=True)


def test_without_a_contest_every_new_child_wins() -> None:
    old = first(panel(range(3)))
    new = metamodel.update(old.bundle_path, panel(range(3), weeks=52), max_age="8w", challenge=False)
    assert (set(new.ledger["status"]), set(new.ledger["decision"])) == ({"fitted"}, {""})


@pytest.mark.parametrize("evidence", ["pooled", "own"])
def test_the_own_recipe_on_the_same_rows_replaces_nobody(evidence: str) -> None:
    old = first(panel(weeks=40))
    new = metamodel.update(old.bundle_path, panel(weeks=41), retrain="all", evidence=evidence)
    assert set(status_of(new.ledger, "decision").values()) == {"incumbent_kept"}
    assert set(status_of(new.ledger, "gain").values()) == {0.0}


def test_the_result_says_in_three_lines_who_was_retrained_who_won_and_what_that_gains(
    plain: metamodel.TrainingResult,
) -> None:
    new = metamodel.update(plain.bundle_path, changed_panel(), max_age="8w")
    update_line, contest, gain = str(new).splitlines()[5:8]
    kept = new.summary["groups_carried"]
    assert update_line == "update            12 groups retrained (12 stale), 0 carried as they were"
    won = f"contest           {12 - kept} of 12 new children better than the one before, on 144 fresh rows"
    assert contest == f"{won}; {kept} groups keep the one before"
    ledger = new.ledger[new.ledger["decision"] == "replaced"]
    assert new.summary["fresh_gain"] == pytest.approx(ledger["gain"].sum() / 12)
    assert new.summary["fresh_gain"] > 4 * new.summary["fresh_gain_se"] > 0
    assert gain.startswith(f"gain              {new.summary['fresh_gain']:.1%} less error a group than")


def test_a_cell_whose_districts_arrive_later_is_new_and_all_others_are_carried(housing: pd.DataFrame) -> None:
    cells = ["latitude_cell", "longitude_cell"]
    numbers = ["housing_median_age", "total_rooms", "population", "median_income"]
    table = in_cells(housing)
    late = (table["latitude_cell"] == 34) & (table["longitude_cell"] == -119)
    assert late.sum() > 100
    options: dict[str, Any] = {"features": numbers, "min_rows": 1, "n_jobs": 1}
    old = metamodel.train(table[~late], cells, "median_house_value", LinearRegression(), **options)
    new = metamodel.update(old.bundle_path, table)
    fitted = new.ledger[new.ledger["status"] == "fitted"]
    assert fitted[[*cells, "retrain_reason"]].to_numpy().tolist() == [[34, -119, "new"]]
    assert (new.ledger["status"] == "carried").sum() == len(old.ledger)
    answers = MetaModel(new.bundle_path).predict(table)["prediction"]
    for rows in table.reset_index(drop=True).groupby(cells).indices.values():
        group = table.iloc[rows]
        by_hand = LinearRegression().fit(group[numbers], group["median_house_value"]).predict(group[numbers])
        np.testing.assert_allclose(answers.iloc[rows], by_hand, rtol=1e-9)


def test_changed_are_groups_with_other_values_or_another_order_and_not_other_types_of_columns() -> None:
    table = panel(range(4), 12).assign(promotion=lambda frame: frame.index % 3)
    forest = RandomForestRegressor(3, random_state=0)
    model = first(table, forest, time_column=None, prune=False, pooled=False).bundle_path
    of_other_types = table.assign(promotion=table["promotion"].astype("Int16"), shop=table["shop"].astype("int32"))
    same = metamodel.update(model, of_other_types, retrain="changed", challenge=False)
    assert set(status_of(same.ledger, "status").values()) == {"carried"}
    turned = pd.concat([table[table["shop"] != 2], table[table["shop"] == 2].iloc[::-1]])
    other = metamodel.update(model, turned, retrain="changed", challenge=False)
    why = status_of(other.ledger, "retrain_reason")
    assert {shop for shop, reason in why.items() if reason == "changed: other rows"} == {2}
    before, after = (children_of(MetaModel(path)) for path in (model, other.bundle_path))
    assert {key for key in before if before[key] != after[key]} == {'["IT",2]'}
