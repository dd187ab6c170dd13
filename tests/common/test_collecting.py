"""The collector is asked less often inside the block, and as before behind it."""

import gc

import forked_programs
import pytest

from metamodel.common.collecting import collect_seldom, keep_in_spark_worker, seldom_collecting

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _as_it_was():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_threshold_is_higher_inside_and_back_behind_whatever_happens():
    gc.set_threshold(700, 10, 10)
    seen = []

    def interrupted():
        with seldom_collecting():
            seen.append(gc.get_threshold())
            raise KeyError("anything")

    with pytest.raises(KeyError, match="anything"):
        interrupted()
    assert [*seen, gc.get_threshold()] == [(100_000, 10, 10), (700, 10, 10)]


@pytest.mark.parametrize("threshold", [0, 500_000])
def test_who_collects_less_often_or_never_is_left_alone(threshold):
    gc.set_threshold(threshold, 10, 10)
    with seldom_collecting():
        assert gc.get_threshold() == (threshold, 10, 10)


def test_a_process_of_ours_looks_for_garbage_seldom():
    gc.set_threshold(700, 7, 8)
    collect_seldom()
    assert gc.get_threshold() == (100_000, 7, 8)


def test_what_is_no_worker_of_pyspark_is_left_as_it_is():
    before = gc.get_freeze_count()
    new = [[] for _ in range(1000)]
    keep_in_spark_worker.cache_clear()
    keep_in_spark_worker()
    assert gc.get_freeze_count() - before < len(new)


def test_commands_look_for_garbage_seldom():
    done = forked_programs.run("-c", "import gc, metamodel.__main__; print(gc.get_threshold()[0])")
    assert (done.stdout, done.returncode) == ("100000\n", 0)
