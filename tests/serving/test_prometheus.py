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
