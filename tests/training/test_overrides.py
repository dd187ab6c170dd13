"""Single groups that are fitted otherwise, or not at all; and a time limit for each."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from overridden import fit, table
from sklearn.linear_model import LogisticRegression, Ridge
from spark_tables import assert_same_ledger

from metamodel.exceptions import InputError
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec

OVERRIDES = [
    {"country": "FR", "store": 1, "estimator": "decision_tree", "estimator_params": {"max_depth": 2}},
    {"country": "FR", "store": 2, "skip": True},
    {"country": "DE", "store": 3, "min_rows": 50},
    {"country": "DE", "store": 2, "estimator_params": {"alpha": 7.0}},
]


def test_each_override_rules_its_own_group_and_no_other() -> None:
    result, plain = fit(table(), OVERRIDES), fit(table(), None)
    ledger, before = (one.ledger.set_index(["country", "store"]) for one in (result, plain))
    assert ledger.loc[("FR", 1), ["estimator", "candidate"]].tolist() == ["DecisionTreeRegressor", "decision_tree"]
    assert ledger.loc[("FR", 2), ["status", "reason"]].tolist() == ["skipped", "override: skip"]
    assert ledger.loc[("DE", 3), "reason"] == "min_rows: 20 usable rows, 50 needed"
    assert ledger.loc[("DE", 2), "params"] == '{"alpha": 7.0, "random_state": 0}'
    others = [("FR", 3), ("DE", 1)]
    assert ledger.loc[others, "sha256"].tolist() == before.loc[others, "sha256"].tolist()
    assert set(result.manifest.options["candidates"]) == {"ridge", "decision_tree"}


def test_overrides_come_as_a_frame_or_a_file_too(tmp_path: Any) -> None:
    rows = [{**one, "estimator_params": None} for one in OVERRIDES[:3]]
    rows[0]["estimator_params"] = '{"max_depth": 2}'
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "overrides.csv", index=False)
    ledgers = [fit(table(), given).ledger for given in (frame, tmp_path / "overrides.csv", OVERRIDES[:3])]
    assert ledgers[0]["reason"].tolist() == ledgers[1]["reason"].tolist() == ledgers[2]["reason"].tolist()
    assert ledgers[0]["params"].tolist() == ledgers[1]["params"].tolist() == ledgers[2]["params"].tolist()


def test_keys_in_a_file_are_what_the_table_says_they_are(tmp_path: Any) -> None:
    frame = table().assign(country=lambda f: f["country"].map({"FR": "10", "DE": "20"}))
    path = tmp_path / "overrides.csv"
    for store in ("2", "2.0"):
        path.write_text(f"country,store,skip\n10,{store},True\n")
        ledger = fit(frame, path).ledger.set_index(["country", "store"])
        assert ledger.index[ledger["status"] == "skipped"].tolist() == [("10", 2)]
        assert ledger.loc[("10", 2), "reason"] == "override: skip"
    with pytest.raises(InputError, match=re.escape("Override of group ('10', '2'): Group column 'store' holds int")):
        fit(frame, [{"country": "10", "store": "2", "skip": True}])


def test_several_candidates_of_an_override_need_a_holdout_too() -> None:
    own = [{"country": "FR", "store": 1, "estimator": "ridge,decision_tree"}]
    message = "Override of group ('FR', 1): 2 candidates cannot be compared with holdout=0. Set a holdout, or give one"
    with pytest.raises(InputError, match=re.escape(message)):
        fit(table(), own, holdout=0)


def test_an_override_changes_what_a_resumed_training_may_take_over() -> None:
    digests = {fit(table(), given).manifest.spec_digest for given in (None, OVERRIDES, OVERRIDES[:1], OVERRIDES[1:2])}
    assert len(digests) == 4


@pytest.mark.spark
def test_overrides_rule_the_same_groups_on_spark(spark: Any) -> None:
    local = fit(table(), OVERRIDES, unknown="fallback", prune=False)
    on_spark = fit(spark.createDataFrame(table()), OVERRIDES, unknown="fallback", prune=False, engine="spark")
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.manifest.spec_digest == on_spark.manifest.spec_digest


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"country": "IT", "store": 1}, "override for group ('IT', 1), but the table has no such group (6 known)."),
        ({"country": "FR", "store": "one"}, "Override of group ('FR', 'one'): Group column 'store' holds integers"),
        ({"country": "FR"}, "An override lacks group column 'store'. Name whole groups."),
        (
            {"country": "FR", "store": 1, "alpha": 2},
            "Overrides have no column 'alpha'. Use the group columns and estim",
        ),
        ({"country": "FR", "store": 1, "estimator": "rigde"}, "There is no estimator named 'rigde'."),
        ({"country": "FR", "store": 1, "estimator": LogisticRegression()}, "does another task than regression."),
        ({"country": "FR", "store": 1, "estimator_params": "{"}, "'{' is no JSON"),
        ({"country": "FR", "store": 1, "estimator_params": "[1]"}, "estimator_params=[1] is no JSON object."),
        ({"country": "FR", "store": 1, "min_rows": 0}, "min_rows=0 is no whole number of at least 1."),
        ({"country": "FR", "store": 1, "min_rows": float("inf")}, "min_rows=inf is no whole number of at least 1."),
        ({"country": "FR", "store": 1, "skip": "never"}, "skip='never' is neither true nor false."),
    ],
)
def test_a_wrong_override_is_one_clear_line(override: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        fit(table(), [override])


def test_a_row_count_may_come_from_numpy() -> None:
    result = fit(table(), [{"country": "FR", "store": 1, "min_rows": np.int64(1000)}])
    assert result.ledger["reason"].str.startswith("min_rows").sum() == 1


def test_two_overrides_of_one_group_are_refused() -> None:
    with pytest.raises(InputError, match=re.escape("Group ('FR', 2) has two overrides. Keep one.")):
        fit(table(), [OVERRIDES[1], OVERRIDES[1]])


@pytest.mark.parametrize("given", [5, ["FR"]])
def test_overrides_are_a_table(given: Any) -> None:
    with pytest.raises(InputError, match=r"is no table\. Give a DataFrame, a list of dicts, or a file's path"):
        fit(table(), given)


class Endless(Ridge):
    """Never comes to an end, and swallows every exception."""

    def fit(self, X, y, sample_weight=None):
        while True:
            try:
                sum(range(100))
            except Exception:  # noqa: BLE001 - what estimators do
                continue


def test_a_group_beyond_its_time_limit_fails_alone_with_its_reason() -> None:
    rng = np.random.default_rng(0)
    group = GroupData((1,), rng.normal(size=(30, 2)), rng.normal(size=30), np.arange(30, dtype=np.uint64))
    candidates = (Candidate("endless", Endless(), "Endless", "{}"),)
    outcome = fit_group(group, FitSpec("regression", candidates, group_seconds=0.2))
    assert (outcome.status, outcome.reason, outcome.child) == ("failed", "time_limit: 0.2 s", None)
    after = fit_group(group, FitSpec("regression", (Candidate("ridge", Ridge(), "Ridge", "{}"),), group_seconds=60))
    assert after.status == "fitted"


@pytest.mark.parametrize("seconds", [-1, "soon", True])
def test_a_wrong_time_limit_is_refused(seconds: Any) -> None:
    with pytest.raises(InputError, match=r"is no time limit\. Use a number of seconds above 0, or None"):
        fit(table(), None, group_seconds=seconds)
