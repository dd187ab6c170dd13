"""What runs inside Spark's Python workers when a table is scored: batches in, the same batches with answers out.

Opening a bundle costs a millisecond, so a worker process opens it where it lies whenever that place can be reached.
Only where it cannot is the model downloaded: once a machine, into the folder that Spark itself takes away with the
application. MLflow is imported for that download alone.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout

from metamodel.bundle.model import MetaModel
from metamodel.bundle.references import WORKERS_VARIABLE
from metamodel.bundle.rollout.exploring_model import ExploringModel
from metamodel.bundle.rollout.opening import open_model
from metamodel.common.byte_cache import CACHE_VARIABLE, ByteCache, limit_in_bytes
from metamodel.common.collecting import keep_in_spark_worker
from metamodel.common.uris import redacted
from metamodel.exceptions import UnreadableBundle
from metamodel.prediction.rollout.exploration import Exploration
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.scoring.batch_answers import AskModel, asking
from metamodel.tables.arrow import arrow_to_pandas

__all__ = ["JobLog", "ModelPlace", "PartitionScorer"]

# Rows come sorted by group, so a child is not needed again once its rows have passed.
_DEFAULT_CACHE_MB = 256

# Seconds that another process of the machine may take to fetch the model.
_LONGEST_DOWNLOAD = 1800.0

_models: dict[str, MetaModel] = {}


@dataclass(frozen=True)
class ModelPlace:
    """Where a worker finds a model.

    Parameters
    ----------
    bundle
        The bundle's directory on the driver.
    digest
        Of its manifest: the bundle that a worker opens must be the one that the driver has seen.
    uri, tracking_uri
        Where to download it; None where the model was given as a directory.
    workers
        Tasks that run at the same moment: those that fetch children share the tracking server.
    """

    bundle: str
    digest: str
    uri: str | None
    tracking_uri: str | None
    workers: int = 1

    def open(self) -> MetaModel:
        """Open the model, once a process."""
        model = _models.get(self.digest)
        if model is None:
            self._share_the_server()
            model = self._reachable() or self._downloaded()
            _models.clear()  # a worker that serves many jobs does not collect models
            _models[self.digest] = model
        return model

    def _share_the_server(self) -> None:
        """Let children that live elsewhere be fetched from the driver's server, at this worker's part of the rate."""
        os.environ.setdefault(WORKERS_VARIABLE, str(self.workers))
        if self.tracking_uri is not None:
            os.environ["MLFLOW_TRACKING_URI"] = self.tracking_uri

    def _reachable(self) -> MetaModel | None:
        try:
            model = open_model(self.bundle, _cache())
        except UnreadableBundle:
            return None
        if model.manifest.references is not None:  # its children are fetched through MLflow
            from metamodel.flavor.load import open_bundle

            model = open_bundle(self.bundle, _cache())
        return model if model.digest == self.digest else None

    def _downloaded(self) -> MetaModel:
        if self.uri is None:
            raise UnreadableBundle(
                f"The workers cannot read {self.bundle}. Give the URI of a logged model, or a folder they share."
            )
        from pyspark import SparkFiles

        from metamodel.flavor.load import load_model

        folder = Path(SparkFiles.getRootDirectory()) / f"metamodel-{self.digest[:16]}"
        model = load_model(_fetch_once(self.uri, self.tracking_uri, folder), cache_bytes=_cache().limit)
        if model.digest != self.digest:
            raise UnreadableBundle(f"{redacted(self.uri)} changed while it was read. Start again, or name a version.")
        return model


def _fetch_once(uri: str, tracking_uri: str | None, folder: Path) -> Path:
    """Download a model unless another process of this machine has done so; returns its directory."""
    import mlflow

    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    try:
        with FileLock(folder / "lock", timeout=_LONGEST_DOWNLOAD):
            if not done.exists():
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri
                )
                done.write_text(path, encoding="utf-8")
    except Timeout as error:
        raise UnreadableBundle(
            f"Another process of this machine has been fetching {redacted(uri)} for {_LONGEST_DOWNLOAD:g} s, into "
            f"{folder}. End it, and start again."
        ) from error
    return Path(done.read_text(encoding="utf-8"))


def _cache() -> ByteCache:
    return ByteCache(limit_in_bytes(CACHE_VARIABLE, _DEFAULT_CACHE_MB))


@dataclass(frozen=True)
class JobLog:
    """The log of a job: each partition writes a file of its own, and a task that is tried again replaces it.

    Parameters
    ----------
    settings
        What is logged, and where: a folder that all workers share.
    model
        Name and version of the model.
    name
        Of the job, under which the files stand.
    """

    settings: LogSettings
    model: tuple[str, str]
    name: str


@dataclass(frozen=True)
class PartitionScorer:
    """Adds answers to the rows of a partition.

    Parameters
    ----------
    place
        The model.
    names
        The caller's columns, in their order; in the batches they are named by their places.
    columns
        Those of them that the model needs.
    added
        Names of the columns it adds, and their Arrow types.
    params
        As for `MetaModel.predict`, complete.
    prefix
        Put before the names of the columns that are added.
    control
        Whom parents answer instead of children; None for nobody.
    log
        Where answers are logged; None for no log.
    """

    place: ModelPlace
    names: tuple[str, ...]
    columns: tuple[str, ...]
    added: dict[str, pa.DataType]
    params: dict[str, Any]
    prefix: str = ""
    control: Exploration | None = None
    log: JobLog | None = None

    def score(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answer every row; the caller's columns pass through as they are."""
        keep_in_spark_worker()
        model = self.place.open()
        if self.control is not None:
            model = ExploringModel(model, self.control)
        with self._asking(model) as ask:
            yield from self._scored(batches, ask)

    def _asking(self, model: MetaModel) -> AbstractContextManager[AskModel]:
        if self.log is None:
            return asking(model, None)
        return asking(model, self.log.settings, self.log.model, f"{self.log.name}-{_partition():05d}")

    def _scored(self, batches: Iterator[pa.RecordBatch], ask: AskModel) -> Iterator[pa.RecordBatch]:
        for batch in (numbered.rename_columns(list(self.names)) for numbered in batches):
            answers = ask(self._frame(batch), self.params)
            added = [_typed(answers[name], kind) for name, kind in self.added.items()]
            names = [*batch.schema.names, *(f"{self.prefix}{name}" for name in self.added)]
            yield pa.RecordBatch.from_arrays([*batch.columns, *added], names=names)

    def _frame(self, batch: pa.RecordBatch) -> pd.DataFrame:
        table = pa.Table.from_batches([batch.select(list(self.columns))])
        integers = {
            field.name: f"Int{field.type.bit_width}"
            for field, column in zip(table.schema, table.columns, strict=True)
            if pa.types.is_signed_integer(field.type) and column.null_count
        }
        return arrow_to_pandas(table, integers)


def _partition() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else int(context.partitionId())


def _typed(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """Make an Arrow column in which every missing value is null, of whatever type."""
    array = pa.array(values, type=kind, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
