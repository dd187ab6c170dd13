"""What an explanation names as reasons."""

import pandas as pd
import pytest

from metamodel.lifecycle.explain_words import reasons, told

ON = pd.Timestamp("2026-11-02", tz="UTC")

CHILD = {
    **{"sha256": "a" * 64, "child_version": 3, "trained_at": "2026-10-01T00:00:00+00:00", "rows": 100},
    **{"data_through": "2026-09-28T00:00:00.000000", "estimator": "Ridge", "holdout_rmse": 4.0, "baseline_rmse": 5.0},
    **{"baseline": "mean", "skill": 0.2, "data_source": "delta:/lake@v7", "data_digest": "d1", "run_id": "r1"},
}

GROUP = {"status": "fitted", "decision": "replaced", "retrain_reason": "stale: 9 weeks", "reason": "", "error": ""}

EVENT = {"alias": "champion", "since": "2026-10-02", "done_by": "bob", "approved_by": "ann", "note": "ok", "gate": "g"}

ROW = pd.Series({"version": 3, **EVENT, **GROUP, "answered_by": '["FR",7]', **CHILD})

PAST = pd.DataFrame([{"version": 3, **GROUP, **CHILD}])

NO_ALARMS = pd.DataFrame(columns=["window", "status", "columns"])


def said(row: pd.Series = ROW, past: pd.DataFrame = PAST, alarms: pd.DataFrame = NO_ALARMS) -> list[str]:
    return list(reasons(row, past, ON, alarms))


def with_(**changes: object) -> pd.Series:
    return pd.Series({**ROW.to_dict(), **changes})


def test_a_good_young_child_gives_no_reason():
    assert said() == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (with_(skill=-0.1), "no better than the baseline (skill -0.1)"),
        (with_(data_through="2026-07-06T00:00:00.000000"), "The newest row that the child saw was 17 weeks old"),
        (with_(data_through="104.0", trained_at="2026-08-03T00:00:00+00:00"), "The child was 13 weeks old"),
        (with_(decision="incumbent_kept"), "lost against the one that stayed"),
        (with_(answered_by="unknown"), "Version 3 is not in the history"),
        (
            with_(status="failed", reason="error", error="LinAlgError: singular", answered_by='["FR"]'),
            'no child of its own (failed: error; LinAlgError: singular): its parent answered (["FR"])',
        ),
        (with_(status="skipped", answered_by="nobody", sha256=None), "(skipped): nobody answered"),
        (with_(status="pooled", answered_by="pooled", sha256=None), "the pooled model answered"),
    ],
)
def test_what_may_have_made_an_answer_bad_is_said(row, words):
    assert [words in reason for reason in said(row)] == [True]


def test_the_child_that_came_after_is_compared():
    after = {"version": 4, **GROUP, **CHILD, "sha256": "b" * 64, "holdout_rmse": 3.0}
    assert said(past=pd.concat([PAST, pd.DataFrame([after])])) == [
        "Version 4 has another child (stale: 9 weeks): rmse 3 (baseline mean: 5)."
    ]


def test_alarms_are_named():
    alarms = pd.DataFrame([{"window": "2026-W44", "status": "drift", "columns": "price"}])
    assert said(alarms=alarms) == ["Monitoring raised an alarm in window 2026-W44: drift in price."]


def test_all_of_it_is_told():
    text = told('["FR",7]', "2026-11-02", pd.DataFrame([ROW]), said(with_(skill=-0.1)))
    for words in (
        "version          3, champion since 2026-10-02 by bob, approved by ann: ok, gate passed",
        "status           fitted; replaced; stale: 9 weeks",
        "child            aaaaaaaaaaaa Ridge, first in version 3",
        "2026-10-01T00:00:00+00:00 on 100 rows, data through 2026-09-28\n",
        "data             delta:/lake@v7, d1",
        "held-out error   rmse 4 (baseline mean: 5)",
        "  - On held-out rows",
    ):
        assert words in text


def test_what_status_decision_and_reason_have_in_common_is_said_once():
    assert "  status           carried\n" in told("g", "now", pd.DataFrame([carried()]), [])
    new = with_(decision="new", retrain_reason="new")
    assert "  status           fitted; new\n" in told("g", "now", pd.DataFrame([new]), [])


def carried() -> pd.Series:
    return with_(status="carried", decision="carried", retrain_reason="")


def test_a_moment_is_told_to_the_second():
    text = told("g", "now", pd.DataFrame([with_(data_through="2026-09-28T14:30:00.000000")]), [])
    assert "data through 2026-09-28T14:30:00\n" in text
