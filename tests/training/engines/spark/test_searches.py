from metamodel.fitting.tuning import Found
from metamodel.training.engines.spark.searches import Searches


def test_a_task_knows_its_own_groups_by_the_number_of_the_first() -> None:
    searches = Searches({1: Found({"ridge": {"alpha": 2.0}}, 9.0)}, [[200.0, 100.0], [300.0]], end=1e12)
    pace = searches.pace(0)
    first, second = (searches.of(number, pace, "") for number in (0, 1))
    assert (first.first, second.first, second.first_latest) == ({}, {"ridge": {"alpha": 2.0}}, 9.0)
    assert searches.of(2, searches.pace(2), "too much").refusal == "too much"
