"""The figures that the workers of a server share."""

import pytest

from metamodel.serving.prometheus import Figures

pytestmark = pytest.mark.tableless


def test_a_worker_that_follows_another_one_starts_with_an_empty_pool_and_cache() -> None:
    figures = Figures(2, ["child"])
    first = figures.of_worker(1)
    first.waiting(7)
    first.record(200, "plain", 0.1, 10)
    first._row[first._where["cache entries"]] = 5
    figures.of_worker(1)
    text = figures.text().decode()
    for line in ("metamodel_requests_in_pool 0.0", "metamodel_cache_entries 0.0", 'requests_total{code="200"} 1.0'):
        assert line in text


def test_rows_by_variant_are_shown_of_a_roll_out_alone() -> None:
    figures = Figures(1, ["child"])
    worker = figures.of_worker(0)
    cache = dict.fromkeys(("hits", "misses", "evictions", "entries", "bytes", "limit"), 0)
    seconds = {f"seconds_{name}": 0.0 for name in ("reading", "unpickling", "predicting")}
    stats = {"rows": {"child": 9}, "rows_stacked": 0, "cache": cache, **seconds}
    worker.publish(stats, "plain")
    assert "metamodel_variant_rows" not in figures.text().decode()
    variants = {"champion": 5, "challenger": 3, "challenger_failed": 1}
    worker.publish({**stats, "variants": variants, "challenger": {"calls_failed": 2, "dropped": 4}}, "rolled out")
    text = figures.text().decode()
    for line in (
        'metamodel_variant_rows_total{variant="challenger"} 3.0',
        'metamodel_variant_rows_total{variant="challenger_failed"} 1.0',
        "metamodel_challenger_failures_total 2.0",
        'metamodel_shadow_rows_total{outcome="dropped"} 4.0',
    ):
        assert line in text
