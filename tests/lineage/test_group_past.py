"""What is told of a group, version by version."""

import pytest
from histories import generations

from metamodel.exceptions import InputError
from metamodel.lineage.generation import Generation
from metamodel.lineage.group_past import alarms_of, events_of, group_past, key_in, parents_of, versions_of
from metamodel.lineage.history_store import HistoryStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> HistoryStore:
    store = HistoryStore(tmp_path_factory.mktemp("history"))
    for generation in generations(tmp_path_factory.mktemp("bundles")):
        store.write_generation(generation)
    return store


@pytest.mark.parametrize("group", [(1, "P001"), [1, "P001"], '[1, "P001"]', "1,P001"])
def test_a_group_is_named_as_people_write_it(store, group):
    assert key_in(versions_of(store, "sales"), group) == (1, "P001")


def test_a_carried_child_is_told_with_the_version_that_fitted_it(store):
    versions = versions_of(store, "sales")
    past = group_past(store, versions, [(1, "P001")])
    assert past["version"].tolist() == [1, 2, 3]
    assert past["status"].tolist() == ["fitted", "carried", "fitted"]
    assert past["child_version"].tolist() == [1, 1, 3]
    assert past["run_id"].tolist() == ["run-1", "run-1", "run-3"]
    assert past["holdout_rmse"].iloc[0] == past["holdout_rmse"].iloc[1] > 0


def test_a_group_stands_before_its_parents(store):
    versions = versions_of(store, "sales")
    past = group_past(store, versions, parents_of((2, "P002")))
    assert past.loc[past["version"] == 3, "key"].tolist() == ['[2,"P002"]', "[2]", "[]"]
    assert past.loc[past["version"] == 1, "key"].tolist() == ["[]"]


def test_a_model_that_is_not_there_is_told_with_the_remedy(store):
    with pytest.raises(InputError, match=r"holds no version of 'other'.*--rebuild"):
        versions_of(store, "other")


def test_without_events_and_alarms_there_are_none(store):
    assert events_of(store, "sales").empty
    assert alarms_of(store, "sales", (1, "P001")).empty


def test_a_version_that_was_not_finished_does_not_count(store, tmp_path, monkeypatch):
    broken = HistoryStore(tmp_path)
    three: list[Generation] = generations(tmp_path.parent / f"{tmp_path.name}-bundles")
    broken.write_generation(three[0])
    monkeypatch.setattr(broken._tables, "put_row", lambda *_: None)
    broken.write_generation(three[1])
    versions = versions_of(HistoryStore(broken.place), "sales")
    assert group_past(broken, versions, [(1, "P001")])["version"].tolist() == [1]
