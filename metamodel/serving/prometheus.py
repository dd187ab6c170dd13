"""Counters of all workers in one piece of shared memory, shown in Prometheus' text format.

Every worker writes into a row of its own, so nothing is locked between processes; whoever is asked for /metrics adds
the rows up. The memory is anonymous and made before the workers are: no file, and a worker that is started again goes
on counting where its forerunner stopped.
"""

import mmap
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from metamodel.prediction.answer_form import ROLLOUT_VARIANTS, VARIANTS

__all__ = ["Figures", "WorkerFigures"]

_CODES = (200, 400, 413, 415, 500, 503, 504)

_WAYS = ("plain", "mlflow")

_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))

_CACHE_COUNTERS = ("hits", "misses", "evictions")

_CACHE_GAUGES = ("entries", "bytes", "limit")

_LOG = ("log rows", "log dropped")

# Registered versions that serve, and how often either was swapped.
_SERVED = ("version", "challenger version")

_SWAPS = ("swaps", "challenger swaps")

_SECONDS = ("reading", "unpickling", "predicting")

# Of a roll-out: calls that failed; and in the shadow rows that were answered, that failed, and that were dropped.
_CHALLENGER = ("calls_failed", "answered", "failed", "dropped")


class Figures:
    """What all workers of a server have counted.

    Parameters
    ----------
    workers
        Number of workers.
    statuses
        All values that a row's `status` can have.
    """

    def __init__(self, workers: int, statuses: Sequence[str]) -> None:
        self.statuses = tuple(statuses)
        names = [f"code {code}" for code in _CODES]
        names += [f"way {way}" for way in _WAYS]
        names += [f"bucket {bound}" for bound in _BUCKETS]
        names += [f"rows {status}" for status in self.statuses]
        names += [f"cache {name}" for name in (*_CACHE_COUNTERS, *_CACHE_GAUGES)]
        names += [f"seconds {name}" for name in (*_SECONDS, "answering")]
        names += [f"variant {name}" for name in VARIANTS]
        names += [f"challenger {name}" for name in _CHALLENGER]
        names += ["rows stacked", "waiting", "bytes in", *_SERVED, *_SWAPS, "refresh failures", *_LOG]
        self.where = {name: i for i, name in enumerate(names)}
        shared = mmap.mmap(-1, 8 * workers * len(names))
        self._table = np.frombuffer(shared, dtype=np.float64).reshape(workers, len(names))

    def of_worker(self, number: int) -> "WorkerFigures":
        """One worker's own row, to be written by that worker alone."""
        return WorkerFigures(self, self._table[number])

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the sums over the workers, as `prometheus_client` wants them."""
        total = dict(zip(self.where, self._table.sum(axis=0).tolist(), strict=True))
        requests = CounterMetricFamily(
            "metamodel_requests", "Requests to /invocations by HTTP status.", labels=["code"]
        )
        for code in _CODES:
            requests.add_metric([str(code)], total[f"code {code}"])
        yield requests
        ways = CounterMetricFamily(
            "metamodel_answers", "Requests by the way they were read: plain, or by MLflow's code.", labels=["way"]
        )
        for way in _WAYS:
            ways.add_metric([way], total[f"way {way}"])
        yield ways
        yield self._latency(total)
        yield from self._rows(total)
        yield from _of_cache(total)
        spent = CounterMetricFamily("metamodel_model_seconds", "Seconds in the model by what for.", labels=["work"])
        for work in _SECONDS:
            spent.add_metric([work], total[f"seconds {work}"])
        yield spent
        yield CounterMetricFamily("metamodel_request_bytes", "Bytes of request bodies.", total["bytes in"])
        yield GaugeMetricFamily("metamodel_requests_in_pool", "Requests in thread pools now.", total["waiting"])
        yield from self._versions(total)
        yield from _of_variants(total)
        yield CounterMetricFamily("metamodel_log_rows", "Rows in files of the prediction log.", total["log rows"])
        yield CounterMetricFamily(
            "metamodel_log_dropped", "Rows that the prediction log has lost.", total["log dropped"]
        )

    def _versions(self, total: Mapping[str, float]) -> Iterator[Metric]:
        """Say which registered version answers in how many workers, and how often that has changed."""
        yield self._workers("version", "metamodel_serving_workers", "Workers by the registered version that answers.")
        yield CounterMetricFamily("metamodel_version_swaps", "Versions that were swapped in.", total["swaps"])
        challengers = self._workers(
            "challenger version", "metamodel_challenger_workers", "Workers by the challenger's registered version."
        )
        if challengers.samples or total["challenger swaps"]:
            swapped = total["challenger swaps"]
            yield challengers
            yield CounterMetricFamily("metamodel_challenger_swaps", "Challengers that were swapped in.", swapped)
        failures = total["refresh failures"]
        yield CounterMetricFamily("metamodel_refresh_failures", "Looks at the alias that failed.", failures)

    def _workers(self, served: str, name: str, words: str) -> Metric:
        workers = GaugeMetricFamily(name, words, labels=["version"])
        versions = Counter(self._table[:, self.where[served]].astype(int).tolist())
        for version, number in sorted(versions.items()):
            if version:
                workers.add_metric([str(version)], number)
        return workers

    def _latency(self, total: Mapping[str, float]) -> Metric:
        cumulated = np.cumsum([total[f"bucket {bound}"] for bound in _BUCKETS]).tolist()
        bounds = [*map(str, _BUCKETS[:-1]), "+Inf"]
        latency = HistogramMetricFamily("metamodel_request_seconds", "Seconds from a request's head to its answer.")
        latency.add_metric([], list(zip(bounds, cumulated, strict=True)), total["seconds answering"])
        return latency

    def _rows(self, total: Mapping[str, float]) -> Iterator[Metric]:
        rows = CounterMetricFamily("metamodel_rows", "Rows by who answered them.", labels=["status"])
        for status in self.statuses:
            rows.add_metric([status], total[f"rows {status}"])
        yield rows
        yield CounterMetricFamily("metamodel_rows_stacked", "Rows that a stack answered.", total["rows stacked"])
        answered = sum(total[f"rows {status}"] for status in self.statuses)
        fallback = sum(total[f"rows {s}"] for s in self.statuses if s == "global" or s.startswith("parent:"))
        yield GaugeMetricFamily(
            "metamodel_fallback_ratio",
            "Share of all rows that a parent or the global model answered.",
            fallback / answered if answered else 0.0,
        )


def _of_variants(total: Mapping[str, float]) -> Iterator[Metric]:
    """Say of a roll-out, or of a model with a control group, who answered; nothing of any other model."""
    rows = CounterMetricFamily(
        "metamodel_variant_rows", "Rows of a roll-out, or beside a control group, by who answered.", labels=["variant"]
    )
    kinds = ROLLOUT_VARIANTS, VARIANTS[len(ROLLOUT_VARIANTS) :]
    there = [names for names in kinds if any(total[f"variant {name}"] for name in names)]
    for name in (name for names in there for name in names):
        rows.add_metric([name], total[f"variant {name}"])
    if there:
        yield rows
    if ROLLOUT_VARIANTS not in there:
        return
    failed = total["challenger calls_failed"]
    yield CounterMetricFamily("metamodel_challenger_failures", "Calls that the challenger did not answer.", failed)
    shadow = CounterMetricFamily(
        "metamodel_shadow_rows", "Rows that a challenger in the shadow was asked for.", labels=["outcome"]
    )
    for name in _CHALLENGER[1:]:
        shadow.add_metric([name], total[f"challenger {name}"])
    yield shadow


def _of_cache(total: Mapping[str, float]) -> Iterator[Metric]:
    for name in _CACHE_COUNTERS:
        yield CounterMetricFamily(f"metamodel_cache_{name}", f"Cache of children: {name}.", total[f"cache {name}"])
    for name in _CACHE_GAUGES:
        yield GaugeMetricFamily(f"metamodel_cache_{name}", f"Cache of children: {name} now.", total[f"cache {name}"])


class WorkerFigures:
    """The figures of one worker.

    Parameters
    ----------
    figures
        Those of all workers.
    row
        This worker's memory.
    """

    def __init__(self, figures: Figures, row: Any) -> None:
        self.all = figures
        self._row = row
        self._where = figures.where
        # A forerunner in this place has gone with its cache and its requests; what it counted stays.
        for name in ("waiting", *(f"cache {gauge}" for gauge in _CACHE_GAUGES)):
            row[self._where[name]] = 0
        for served in _SERVED:
            row[self._where[served]] = 0
        self._before = row.copy()
        # What each model has counted, as far as it is in the row: a version that is swapped in begins with nothing.
        self._counted: dict[Hashable, dict[str, float]] = {}

    def record(self, status: int, way: str, seconds: float, body_bytes: int) -> None:
        """Count one request."""
        row, where = self._row, self._where
        row[where.get(f"code {status}", where["code 500"])] += 1
        row[where[f"bucket {_BUCKETS[bisect_left(_BUCKETS, seconds)]}"]] += 1
        row[where["seconds answering"]] += seconds
        row[where["bytes in"]] += body_bytes
        if way:
            row[where[f"way {way}"]] += 1

    def waiting(self, number: int) -> None:
        """Say how many requests are in the thread pool."""
        self._row[self._where["waiting"]] = number

    def serve(self, version: str, challenger: str = "") -> None:
        """Say which registered versions serve from now on, as ``sales/8``; "" where it is none."""
        for served, swaps, now in zip(_SERVED, _SWAPS, (version, challenger), strict=True):
            place, number = self._where[served], int(now.rpartition("/")[2] or 0)
            self._row[self._where[swaps]] += self._row[place] not in (0, number)
            self._row[place] = number

    def refresh_failed(self) -> None:
        """Count a look at the alias that failed."""
        self._row[self._where["refresh failures"]] += 1

    def logged(self, written: int, dropped: int) -> None:
        """Say what became of the rows that this worker's log was given."""
        for name, number in zip(_LOG, (written, dropped), strict=True):
            self._row[self._where[name]] = self._before[self._where[name]] + number

    def publish(self, stats: Mapping[str, Any], model: Hashable = None) -> None:
        """Take over what a model has counted; see `metamodel.bundle.model.MetaModel.stats`.

        Parameters
        ----------
        stats
            The model's.
        model
            Tells the models of this worker apart.
        """
        counted = {f"rows {status}": number for status, number in stats["rows"].items()}
        counted |= {f"seconds {name}": stats[f"seconds_{name}"] for name in _SECONDS}
        counted["rows stacked"] = stats["rows_stacked"]
        counted |= {f"variant {name}": number for name, number in stats.get("variants", {}).items()}
        counted |= {f"challenger {name}": number for name, number in stats.get("challenger", {}).items()}
        earlier = self._counted.setdefault(model, {})
        for name, number in counted.items():
            if name in self._where:  # a version that was swapped in may have a status that the first one had not
                self._row[self._where[name]] += number - earlier.get(name, 0)
        self._counted[model] = counted
        for name in _CACHE_COUNTERS:  # all models of a process share one cache
            where = self._where[f"cache {name}"]
            self._row[where] = self._before[where] + stats["cache"][name]
        for name in _CACHE_GAUGES:
            self._row[self._where[f"cache {name}"]] = stats["cache"][name]

    def forget(self, model: Hashable) -> None:
        """Count no more for a model; what it has counted stays."""
        self._counted.pop(model, None)
