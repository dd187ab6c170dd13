"""Groups in, rows out: those whose child was pruned are judged by what their parent answers, and it is said of them."""

import pandas as pd
import pytest
from monitored import alike, with_pruned

import metamodel


@pytest.fixture(scope="module")
def model() -> metamodel.MetaModel:
    return metamodel.MetaModel(with_pruned().bundle_path)


@pytest.fixture(scope="module")
def pruned(model: metamodel.MetaModel) -> pd.DataFrame:
    ledger = model.ledger
    return ledger[(ledger["level"] == 2) & (ledger["status"] == "skipped")]


def test_every_group_of_the_training_has_a_row_that_says_who_answers_it(
    model: metamodel.MetaModel, pruned: pd.DataFrame
) -> None:
    window = alike(1, 3)
    absent = int(pruned["shop"].iloc[0])
    window = pd.concat([window[window["shop"] != absent], window.iloc[:25].assign(shop=99)])

    result = metamodel.monitor(model, window)

    groups = result.groups.set_index("key")
    assert len(groups) == 13
    assert (groups["answered_by"] == "parent:1").sum() == len(pruned) + 1
    assert groups.loc[groups["answered_by"] == "parent:1", "status"].value_counts().to_dict() == {
        "ok": len(pruned) - 1,
        "no rows": 1,
        "no reference": 1,  # shop 99: the training did not see it, and its parent answers
    }
    assert result.to_dict()["answered_by"] == {"child": 12 - len(pruned), "parent:1": len(pruned) + 1}
    words = f"{len(pruned)} groups without a child of their own, judged by their own rows"
    assert any(note.startswith(words) for note in result.notes)
    assert f"Answered by: child {12 - len(pruned)}, parent:1 {len(pruned) + 1}." in result.to_html()


def test_a_pruned_group_that_went_wrong_alarms_and_is_listed(model: metamodel.MetaModel, pruned: pd.DataFrame) -> None:
    window, shop = alike(1, 4), int(pruned["shop"].iloc[0])
    window.loc[window["shop"] == shop, "sales"] += 4

    result = metamodel.monitor(model, window)

    changed = result.groups[result.groups["status"] == "performance"]
    assert changed["key"].tolist() == [f'["{pruned["country"].iloc[0]}",{shop}]']
    assert changed["answered_by"].tolist() == ["parent:1"]
    assert result.retrain["key"].iloc[0] == changed["key"].iloc[0]


def test_a_listed_group_without_a_child_is_fitted_by_the_update(
    model: metamodel.MetaModel, pruned: pd.DataFrame
) -> None:
    country, shop = pruned["country"].iloc[0], int(pruned["shop"].iloc[0])
    table = alike(8, 6)
    table.loc[table["shop"] == shop, "sales"] += 4

    result = metamodel.update(model, table, retrain=["listed"], retrain_list=[(country, shop)], n_jobs=1)

    row = result.ledger[(result.ledger["shop"] == shop) & (result.ledger["level"] == 2)].iloc[0]
    assert (row["status"], row["retrain_reason"]) == ("fitted", "listed")
