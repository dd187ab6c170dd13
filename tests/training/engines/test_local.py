"""The engine of this machine: as many processes as asked for, and no task twice."""

import math

import pytest
from engine_jobs import rows_by_key

from metamodel.datasets import make_store_sales
from metamodel.training.engines.executor import SequentialExecutor
from metamodel.training.engines.joblib_pool import ProcessPool
from metamodel.training.engines.local import LocalEngine, executor_for
from metamodel.training.options import TrainingOptions


@pytest.mark.parametrize(("n_jobs", "cls", "parallelism"), [(1, SequentialExecutor, 1), (3, ProcessPool, 3)])
def test_the_executor_follows_the_number_of_jobs(n_jobs, cls, parallelism):
    executor = executor_for(n_jobs)
    assert (type(executor), executor.parallelism) == (cls, parallelism)


def engine():
    options = TrainingOptions.create(["store", "product"], target="units", n_jobs=1, unknown="fallback")
    sales = make_store_sales(n_stores=2, n_products=2, n_weeks=20, broken=False)
    return LocalEngine(sales, options, "ridge", None, ["price"])


def test_it_holds_the_table_and_says_where_it_came_from():
    made = engine()
    assert (len(made.head), made.source, made.parallelism) == (80, "DataFrame", 1)
    assert made.plan.rows == 80
    assert set(made.facts().columns) == {"price", "units"}


def test_a_task_that_was_finished_is_read_and_not_run_again(tmp_path, monkeypatch):
    first = list(engine().fit(math.inf, None, tmp_path, 1.0))
    monkeypatch.setattr(SequentialExecutor, "run", lambda self, tasks, job: iter([1 / 0 for _ in tasks]))
    again = list(engine().fit(math.inf, None, tmp_path, 1.0))
    assert rows_by_key(again) == rows_by_key(first)
    assert len(rows_by_key(again)) == 4 + 2 + 1
