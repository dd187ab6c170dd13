"""What a log and later outcomes say: a lift is found, none is not invented, a broken split voids the comparison."""

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

import metamodel
from metamodel.exceptions import InputError
from metamodel.lifecycle.rollouts import joined_log
from metamodel.lifecycle.rollouts.joined_log import Outcome, sum_log
from metamodel.prediction.rollout.assignment import hash_text, in_challenger, unit_hashes
from metamodel.prediction_log import label_rows
from metamodel.prediction_log.label_rows import LabelSource
from metamodel.prediction_log.log_files import new_files, write_new_file


def visits(seed: int, lift: float = 0.0, entities: int = 1500, fraction: float = 0.5) -> Any:
    """A log of an A/B test, and revenue: customers differ, their visits are alike, the challenger's pay `lift` more."""
    rng = np.random.default_rng(seed)
    names = [f'["c-{i}"]' for i in range(entities)]
    hashes = unit_hashes(names, f"salt {seed}")
    written = np.array([hash_text(int(number)) for number in hashes], dtype=object)
    customer = rng.integers(0, entities, 3 * entities)
    chosen = in_challenger(hashes, fraction)[customer]
    worth = rng.lognormal(3, 0.3, entities)
    revenue = worth[customer] * rng.lognormal(0, 0.1, len(customer)) * np.where(chosen, 1 + lift, 1.0)
    log = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(len(customer))],
            "model": "sales",
            "version": "3",
            "key": [f'["s-{i % 4}"]' for i in range(len(customer))],
            "entity_hash": written[customer],
            "variant": np.where(chosen, "challenger", "champion"),
            "prediction": 1.0,
            "shadow_prediction": None,
        }
    )
    labels = pd.DataFrame({"row_id": log["row_id"], "revenue": revenue, "country": rng.choice(["FR", "DE"], len(log))})
    return log, labels.sample(frac=1, random_state=seed)


def compare(log: Any, labels: Any, **options: Any) -> Any:
    return metamodel.compare_variants(log, labels, **{"outcome": "revenue", "fraction": 0.5, **options})


def test_a_planted_lift_is_found_with_its_interval() -> None:
    found = [compare(*visits(seed, lift=0.1)) for seed in range(20)]
    assert sum(one.verdict == "better" for one in found) >= 18
    rows = [one.table[one.table["kind"] == "all"].iloc[0] for one in found]
    assert sum(row["lower"] <= 0.1 <= row["upper"] for row in rows) >= 18
    assert all(one.sound for one in found)


def test_without_a_difference_none_is_found() -> None:
    found = [compare(*visits(100 + seed), slices=["country"]) for seed in range(40)]
    assert sum(one.verdict != "no difference" for one in found) <= 5
    assert sum((one.table["verdict"] != "no difference").any() for one in found) <= 8


def test_rows_of_one_customer_are_no_independent_evidence() -> None:
    log, labels = visits(1)
    every = [pd.concat([table.assign(row_id=table["row_id"] + f"-{i}") for i in range(20)]) for table in (log, labels)]
    once, often = compare(log, labels), compare(*every)
    assert often.table["p_value"].iloc[0] == pytest.approx(once.table["p_value"].iloc[0])


def test_a_broken_split_is_void_and_says_so() -> None:
    log, labels = visits(2, lift=0.2)
    lost = (log["variant"] == "challenger") & (np.arange(len(log)) % 2 == 0)
    gone = set(log.loc[lost, "entity_hash"])
    found = compare(log[~log["entity_hash"].isin(gone)], labels)
    assert (found.sound, found.verdict, found.passed) == (False, "void", False)
    assert found.sentence.startswith("Void, nothing can be concluded: the split was not sound")


def test_outcomes_that_are_missing_for_one_variant_do_not_make_the_split_unsound() -> None:
    log, labels = visits(3)
    of_challenger = set(log.loc[log["variant"] == "challenger", "row_id"].iloc[::2])
    assert compare(log, labels[~labels["row_id"].isin(of_challenger)]).sound


def test_rows_without_an_entity_are_left_out() -> None:
    log, labels = visits(4)
    anonymous = log.assign(row_id=log["row_id"] + "-x", entity_hash=None, variant="champion")
    both = pd.concat([log, anonymous])
    of_both = pd.concat([labels, labels.assign(row_id=labels["row_id"] + "-x", revenue=1e6)])
    found = compare(both, of_both)
    assert found.facts["unsigned"] == len(log)
    pd.testing.assert_frame_equal(found.table, compare(log, labels).table)


def shadowed(groups: int = 30, worse: int = 2) -> Any:
    """A log of a shadow: the challenger is better in all groups but a few."""
    rng = np.random.default_rng(6)
    group = np.repeat(np.arange(groups), 60)
    actual = rng.normal(100, 5, len(group))
    zero = actual + rng.normal(0, 2, len(group))
    spread = np.where(group < worse, 6.0, 1.0)
    one = actual + rng.normal(0, 1, len(group)) * spread
    log = pd.DataFrame({"row_id": np.arange(len(group)), "variant": "champion", "prediction": zero})
    log = log.assign(key=[f"[{i}]" for i in group], shadow_prediction=one)
    return log, pd.DataFrame({"row_id": log["row_id"], "y": actual, "region": group % 3})


def test_the_shadow_is_compared_row_by_row_and_names_the_groups_that_lose() -> None:
    log, labels = shadowed()
    found = metamodel.compare_variants(log, labels, target="y", slices=["region"])
    assert (found.verdict, found.sound, found.facts["paired"]) == ("better", True, True)
    groups = found.table[found.table["kind"] == "groups"].set_index("slice")
    assert groups.index[groups["verdict"] == "worse"].tolist() == ["[0]", "[1]"]
    assert not found.passed
    assert "though it is worse in 2 groups" in found.sentence
    assert found.sentence.endswith("both models answered every row.")


def test_rows_that_no_roll_out_answered_and_parts_before_the_shadow_had_answered_do_not_count() -> None:
    log, labels = shadowed()
    plain = log.assign(row_id=log["row_id"] + 10_000, variant=None, shadow_prediction=None)
    early = log.assign(row_id=log["row_id"] + 20_000, shadow_prediction=None)
    every = pd.concat([labels, *(labels.assign(row_id=labels["row_id"] + more) for more in (10_000, 20_000))])
    expected = metamodel.compare_variants(log, labels, target="y").table
    for parts in ([plain, early, log], [log, early, plain]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joined_log, "_parts", lambda *_, parts=parts: iter(parts))
            found = metamodel.compare_variants("log", every, target="y")
        pd.testing.assert_frame_equal(found.table, expected)


@pytest.mark.parametrize("kind", ["int64", "float64", "str"])
def test_rows_are_found_by_names_that_the_log_has_as_texts(kind: str) -> None:
    log, labels = shadowed()
    expected = metamodel.compare_variants(log, labels, target="y").table
    texts = log.assign(row_id=log["row_id"].astype(str))
    pd.testing.assert_frame_equal(
        metamodel.compare_variants(texts, labels.astype({"row_id": kind}), target="y").table, expected
    )


def test_rows_may_be_named_by_several_columns() -> None:
    log, labels = shadowed()
    expected = metamodel.compare_variants(log, labels, target="y").table
    pairs = [table.assign(day=table["row_id"] // 50, visit=table["row_id"] % 50) for table in (log, labels)]
    pd.testing.assert_frame_equal(metamodel.compare_variants(*pairs, ["day", "visit"], "y").table, expected)


def test_an_outcome_that_stands_twice_is_refused() -> None:
    log, labels = shadowed()
    with pytest.raises(InputError, match="An outcome stands twice in the labels, by row_id"):
        metamodel.compare_variants(log, pd.concat([labels, labels]), target="y")


def test_interleaved_rows_count_for_the_model_that_gave_them() -> None:
    log, labels = shadowed()
    swapped = np.arange(len(log)) % 2 == 0
    shown = log.assign(
        variant=np.where(swapped, "challenger", "champion"),
        prediction=np.where(swapped, log["shadow_prediction"], log["prediction"]),
        shadow_prediction=np.where(swapped, log["prediction"], log["shadow_prediction"]),
    )
    one, other = (metamodel.compare_variants(table, labels, target="y") for table in (log, shown))
    pd.testing.assert_frame_equal(one.table, other.table)


def test_a_servers_log_is_read_while_it_is_compacted_each_row_once(tmp_path: Path) -> None:
    log, labels = visits(3, 0.1)
    times = pd.date_range("2026-11-01", periods=len(log), freq="min", tz="UTC")
    stored = log.assign(time=times, shadow_prediction=np.nan)
    for part in range(3):
        write_new_file(tmp_path, pa.Table.from_pandas(stored.iloc[part::3], preserve_index=False))
    kept = [(path, path.read_bytes()) for path in new_files(tmp_path)]
    metamodel.compact_log(tmp_path)
    for path, content in kept:  # as if the compaction had been killed before it took them away
        path.write_bytes(content)
    pd.testing.assert_frame_equal(compare(tmp_path, labels).table, compare(log, labels).table)


def test_labels_in_parts_and_a_log_on_disk_come_to_the_same_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, labels = visits(4, 0.1, entities=200)
    log = log.assign(feature_city=[f"city {i % 3}" for i in range(len(log))], feature_price=1.0)
    whole = compare(log, labels, slices=["city", "country,city"])
    times = pd.date_range("2026-11-01", periods=len(log), freq="min", tz="UTC")
    (tmp_path / "log").mkdir()
    write_new_file(tmp_path / "log", pa.Table.from_pandas(log.assign(time=times), preserve_index=False))
    labels.assign(weather="fine").to_parquet(tmp_path / "labels.parquet", row_group_size=7)
    monkeypatch.setattr(label_rows, "_PART_ROWS", 11)
    for known in (labels, tmp_path / "labels.parquet"):
        divided = compare(tmp_path / "log", known, slices=["city", "country,city"])
        pd.testing.assert_frame_equal(divided.table, whole.table, check_exact=True)
        assert divided.facts == whole.facts


@given(st.integers(15, 200))
def test_a_log_in_parts_comes_to_the_same(rows: int) -> None:
    log, labels = visits(8, entities=60)
    outcome = Outcome(LabelSource(labels, ["row_id"]), ("row_id",), "revenue", is_error=False)
    whole = sum_log(log, outcome, ["country"], "entity")
    parts = [log.iloc[start : start + rows] for start in range(0, len(log), rows)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined_log, "_parts", lambda *_: iter(parts))
        divided = sum_log(log, outcome, ["country"], "entity")
    assert (divided.rows, divided.labelled) == (whole.rows, whole.labelled)
    for kind, table in whole.by_kind.items():
        pd.testing.assert_frame_equal(divided.by_kind[kind], table)
    pd.testing.assert_frame_equal(divided.units.astype({"rows": float}), whole.units)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"outcome": "profit"}, "The labels lack 'profit'"),
        ({}, {"slices": ["city"]}, "There is no column 'city' to slice by"),
        ({"entity_hash": None}, {}, "No row of the log names an entity"),
        ({}, {"fraction": None}, "has no version|There is no registered model|Give fraction"),
        ({}, {"target": "revenue"}, "Say what is compared"),
        ({"row_id": "x"}, {}, "No row of the log has an outcome"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(change: Any, options: Any, message: str) -> None:
    log, labels = visits(9, entities=50)
    with pytest.raises(InputError, match=message) as error:
        compare(log.assign(**change), labels, **options)
    assert "\n" not in str(error.value)


def test_the_command_writes_a_page_and_ends_with_code_3_where_the_challenger_is_worse(tmp_path: Path) -> None:
    log, labels = visits(10, lift=-0.2)
    (tmp_path / "log" / "week").mkdir(parents=True)
    log.drop(columns="shadow_prediction").to_parquet(tmp_path / "log" / "week" / "scored.parquet")
    labels.to_csv(tmp_path / "labels.csv", index=False)
    options = ("--log", str(tmp_path / "log"), "--labels", str(tmp_path / "labels.csv"), "--outcome", "revenue")
    done = run(
        "compare-variants", *options, "--fraction", "0.5", "--slices", "country", "--output", str(tmp_path / "o")
    )
    assert (done.exit_code, done.stdout.count("\n")) == (3, 1)
    assert done.stdout.startswith("The challenger is worse: its revenue is ")
    page = (tmp_path / "o" / "variants.html").read_text()
    assert done.stdout.strip() in html.unescape(page)
    assert "By country" in page
    report = json.loads((tmp_path / "o" / "variants.json").read_text())
    assert (report["verdict"], report["passed"]) == ("worse", False)


def test_a_log_that_says_which_share_was_meant_needs_nobody_who_knows_it() -> None:
    log, labels = visits(3, fraction=0.2)
    told = compare(log.assign(challenger_share=0.2), labels, fraction=None)
    assert told.sound
    assert told.split["fraction"].tolist() == [0.2]
    assert not compare(log.assign(challenger_share=0.5), labels, fraction=None).sound
    # The share may be raised while the version stays.
    half = np.arange(len(log)) < len(log) // 2
    raised = compare(log.assign(challenger_share=np.where(half, 0.2, 0.25)), labels, fraction=None)
    assert raised.split["fraction"].tolist() == [0.2, 0.25]
