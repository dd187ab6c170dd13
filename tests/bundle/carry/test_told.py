"""What a result, a run and a report say of an update is what has become of its groups."""

from typing import Any

import pandas as pd
import pytest
from children import MARK, RaisesOnMark
from html_pages import Page
from weekly_panel import FEATURES, panel

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.report import render_report

OPTIONS: dict[str, Any] = {"features": FEATURES, "time_column": "week", "n_jobs": 1, "prune": False, "pooled": False}
PARENT = pd.DataFrame({"key": ['["FR"]'], "reasons": ["performance"]})


def moved_groups(before: metamodel.TrainingResult, after: metamodel.TrainingResult, rows: pd.DataFrame) -> set[int]:
    """Ask both models, and say of which shops the answers are others."""
    old, new = (MetaModel(result.bundle_path).predict(rows)["prediction"] for result in (before, after))
    return set(rows.loc[old.to_numpy() != new.to_numpy(), "shop"].tolist())


@pytest.mark.parametrize("weeks", [40, 46])
def test_with_shrinkage_the_groups_below_a_retrained_parent_are_those_whose_answers_move(weeks: int) -> None:
    before = metamodel.train(panel(), ["country", "shop"], "sales", "ridge", shrinkage="relative", **OPTIONS)
    after = metamodel.update(before.bundle_path, panel(weeks=weeks), retrain_list=PARENT, challenge=False)
    assert after.summary["groups_retrained"] == 0
    assert moved_groups(before, after, panel()) == ({1, 4, 7, 10} if weeks > 40 else set())
    assert after.summary["groups_moved_by_parents"] == 4
    assert "parents           retrained: answers may move of 4 groups without a new child" in str(after).splitlines()


def test_with_fallback_it_is_the_groups_without_a_child(tmp_path: Any) -> None:
    def table(weeks: int) -> pd.DataFrame:
        rows = panel(weeks=weeks)
        return rows[~rows["shop"].isin([1, 2]) | (rows["week"] < "2026-01-12")]

    options = {**OPTIONS, "unknown": "fallback", "min_rows": 10}
    before = metamodel.train(table(40), ["country", "shop"], "sales", "ridge", **options)
    after = metamodel.update(before.bundle_path, table(46), retrain_list=PARENT, retrain="failed", challenge=False)
    # Shop 2 has no child either, but another parent.
    assert moved_groups(before, after, panel()) == {1}
    assert after.summary["groups_moved_by_parents"] == 1


def test_a_training_from_nothing_says_nothing_of_an_update() -> None:
    result = metamodel.train(panel(range(2)), ["country", "shop"], "sales", "ridge", **OPTIONS)
    assert [name for name in result.summary if "retrained" in name or "moved" in name] == []
    assert "Since the version before" not in Page(render_report(Bundle(result.bundle_path))).text


def test_the_report_has_the_lines_that_the_result_prints() -> None:
    before = metamodel.train(panel(), ["country", "shop"], "sales", "ridge", **OPTIONS)
    grown = panel(weeks=52)
    grown["sales"] += 3 * grown["price"] * (grown["week"] > "2026-10-05") * (grown["shop"] % 2)
    after = metamodel.update(before.bundle_path, grown, max_age="8w")
    text = " ".join(Page(render_report(Bundle(after.bundle_path))).text.split())
    titles = ("update", "contest", "gain")
    printed = [line.split(maxsplit=1) for line in str(after).splitlines() if line.startswith(titles)]
    assert [title for title, _ in printed] == list(titles)
    assert [words for title, words in printed if f"{title.capitalize()}: {words}." not in text] == []


def test_time_of_the_report_is_that_of_this_training() -> None:
    before = metamodel.train(panel(), ["country", "shop"], "sales", "ridge", **OPTIONS)
    after = metamodel.update(before.bundle_path, panel())
    page = Page(render_report(Bundle(after.bundle_path)))
    assert set(after.ledger["status"]) == {"carried"}
    assert after.ledger["seconds"].sum() > 0
    assert "Fitted in 0" in " ".join(page.text.split())


def test_the_first_line_counts_every_group_once_and_the_second_those_in_a_contest() -> None:
    before = metamodel.train(panel(), ["country", "shop"], "sales", RaisesOnMark(), **OPTIONS)
    grown = panel([*range(12), 20], weeks=46)
    grown.loc[(grown["shop"] == 3) & (grown["week"] > "2026-10-12"), "price"] = MARK
    listed = pd.DataFrame({"country": ["DE", "FR", "IT", "DE"], "shop": [0, 1, 2, 3]})
    after = metamodel.update(before.bundle_path, grown, retrain_list=listed)
    kept = after.summary["groups_carried"] - 9
    lines = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in str(after).splitlines()[4:9]}
    assert lines["update"].startswith(
        "5 groups retrained (4 listed, 1 new; 1 failed and keeps its child), 8 carried as"
    )
    assert lines["contest"].startswith(f"{3 - kept} of 3 new children better than the one before, on 18 fresh rows")
    assert (f"; {kept} group" in lines["contest"]) == (kept > 0)
