"""The meta-model of a bundle: what the pyfunc wrapper, batch scoring and notebooks all call."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.display import model_line
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.preload import Preload, Preloaded, all_in_memory, preload_children
from metamodel.bundle.reader import Bundle
from metamodel.bundle.references import ChildLoader
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.byte_cache import ByteCache
from metamodel.common.fork_lock import ForkLock
from metamodel.common.library_settings import LibrarySettings
from metamodel.common.messages import short
from metamodel.exceptions import InputError, InvalidKey
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction.child import with_feature_names
from metamodel.prediction.intervals import RADIUS, radii_of_rows
from metamodel.prediction.routing import Route
from metamodel.prediction.tally import Tally
from metamodel.tables.dataframes import table_of
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping, check_columns
from metamodel.tables.keys import GroupKey

__all__ = ["MetaModel"]

_NOTHING: Mapping[str, Any] = {}


class MetaModel:
    """Many children behind one `predict`.

    Parameters
    ----------
    path
        A bundle's directory, or the bundle, opened.
    cache
        Where loaded children are kept; by default the cache that all models of this process share.
    defaults
        Prediction params to use where a call gives none.
    loader
        Gets children that live elsewhere.
    logged
        Directory of the logged model that it was opened through; None where a bundle was opened by itself.

    Examples
    --------
    >>> model = MetaModel(bundle_path)                                  # doctest: +SKIP
    >>> model.predict(frame)                                            # doctest: +SKIP
    >>> model.predict(frame, params={"detail": True, "unknown": "error"})    # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path | Bundle,
        cache: ByteCache | None = None,
        defaults: Mapping[str, Any] | None = None,
        loader: ChildLoader | None = None,
        logged: Path | None = None,
    ) -> None:
        self.logged = logged
        self._bundle = path if isinstance(path, Bundle) else Bundle(path, cache, loader)
        self._loader = loader
        self._defaults = dict(defaults or {})
        self._stacks = self._bundle.stacks  # now, so that no request waits for a kernel to be compiled
        self._tally = Tally()
        self._preloaded: Preloaded | None = None
        self._lock = ForkLock()
        self._settings = LibrarySettings.from_dict(self.manifest.library_settings or {})
        self._settings.tell_missing()

    # Columns that decide which of two models answers a row: of roll-outs alone.
    entity_names: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as the bundle's path: locks and open files cannot."""
        place = self._bundle.path.absolute()
        return _reopened, (place, self._bundle.own_limit, self._defaults, self._loader, self.logged)

    def __repr__(self) -> str:
        return model_line(self.manifest, self._bundle.path)

    @property
    def path(self) -> Path:
        """Directory of all that the model is made of."""
        return self._bundle.path

    @property
    def digest(self) -> str:
        """Proves all that is in that directory, together with what is read."""
        return self._bundle.digest

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._bundle.manifest

    @property
    def bundle(self) -> Bundle:
        """The bundle behind the model."""
        return self._bundle

    @cached_property
    def route(self) -> Route:
        """The schemas that rows are routed by."""
        target = self.manifest.target
        methods = self.manifest.methods
        return Route(
            self.manifest.keys,
            self.manifest.features,
            target.task,
            target.label_kind,
            target.classes,
            self.manifest.chain,
            tuple(methods),
            RADIUS in (self.manifest.group_values or {}).get("columns", ()),
            methods.get("transform", 0),
        )

    @property
    def ledger(self) -> pd.DataFrame:
        """One row for every group seen in training."""
        return self._bundle.ledger

    def options(self, params: Mapping[str, Any] | None = None) -> PredictOptions:
        """Complete a call's params with the recorded ones; raises `InputError` as `PredictOptions.complete` does."""
        if not params and isinstance(params, dict | None):
            return self._recorded_options
        if not isinstance(params, Mapping):
            raise InputError(f'params is a {type(params).__name__}. Give a dict, such as {{"detail": True}}.')
        return PredictOptions.complete({**self._defaults, **params}, self.manifest.unknown)

    @cached_property
    def _recorded_options(self) -> PredictOptions:
        return PredictOptions.complete(self._defaults, self.manifest.unknown)

    def predict(self, frame: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer every row of a table; see `metamodel.prediction.routing.Route.predict`.

        Parameters
        ----------
        frame
            Table of pandas, polars, Arrow ... with the group columns and the features, shape (n_rows, any).
        params
            ``{"detail": True}``, ``{"predict_method": "predict_proba"}``, ``{"unknown": "error"}``; or none.

        Returns
        -------
        DataFrame
            `prediction`, `lower` and `upper` where the model has intervals, `status`, and what the params ask for;
            n_rows rows under the same index; always of pandas.
        """
        table = table_of(frame)
        return self._answers(table, params).frame(table.index)

    def predict_records(self, frame: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answer as `predict` does, one dict for each row, ready for JSON: what has no finite value is None."""
        return self._answers(table_of(frame), params).records()

    def _answers(self, frame: pd.DataFrame, params: Mapping[str, Any] | None) -> Answers:
        if frame.columns.nlevels > 1:
            raise InputError(
                f"The table's columns have {frame.columns.nlevels} levels (a MultiIndex), the first is "
                f"{short(frame.columns[0])}. Name each column by one value."
            )
        options = self.options(params)
        self.route.check(options)
        return self._answer(self.route.read(frame), options, self._entities(frame))

    def _entities(self, frame: pd.DataFrame) -> Mapping[str, Any]:
        names = [name for name in self.entity_names if name in frame.columns]
        check_columns(frame, names, "entity column")
        return {name: frame[name] for name in names}

    def answer(
        self,
        read: tuple[Grouping, FeatureColumns],
        params: Mapping[str, Any] | None = None,
        entities: Mapping[str, Any] = _NOTHING,
    ) -> Answers:
        """Answer rows read without a table around them; see `metamodel.tables.small_tables.read_plain_rows`.

        `entities` holds the rows' values of the columns `entity_names`, as far as they came.
        """
        options = self.options(params)
        self.route.check(options)
        return self._answer(read, options, entities)

    def at_hand(
        self,
        read: tuple[Grouping, FeatureColumns],
        params: Mapping[str, Any] | None = None,
        entities: Mapping[str, Any] = _NOTHING,
    ) -> bool:
        """Whether all that is needed to answer these rows is in memory: nothing has to be loaded or fetched."""
        del entities  # of roll-outs alone
        method = (params or {}).get("predict_method") or self._recorded_options.predict_method
        proba = self.route.task == "classification" and "predict_proba" in self.route.methods
        return all_in_memory(self._bundle, read, method, proba=proba)

    def _answer(
        self,
        read: tuple[Grouping, FeatureColumns],
        options: PredictOptions,
        entities: Mapping[str, Any] = _NOTHING,
        rows: IntArray | None = None,
    ) -> Answers:
        del entities  # of roll-outs alone
        tally = Tally()
        with self._settings.for_predictions():
            answers = self.route.answer(read, self._bundle, options, self._stacks, tally, self._bundle.weights, rows)
        if answers.radius is not None:
            depth, strangers = len(self.manifest.keys.columns), self.manifest.stranger_radius
            answers.radius = radii_of_rows(read[0], answers.status, depth, self._radii_of, strangers)
        with self._lock:
            self._tally.add(tally)
        return answers

    def _radii_of(self, keys: Sequence[GroupKey | InvalidKey]) -> AnyArray:
        assert self._bundle.group_values is not None  # or there would be no radius to fill
        return self._bundle.group_values.of(keys, (RADIUS,))[:, 0]

    def preload(self, preload: Preload) -> Preloaded:
        """Load the children of hot groups now, as far as the cache has room; see `metamodel.load_model`.

        Returns
        -------
        Preloaded
            How many were asked for, loaded, left out, and why.
        """
        self._preloaded = preload_children(self._bundle, preload)
        return self._preloaded

    def warm_up(self) -> None:
        """Map the arrays of the stacks into memory now; each block is read when the first of its groups is asked for.

        The groups' values are read and proven too, so that no request waits for it. The list of all keys is not
        read: each process reads it at its first batch over more than 256 groups.
        """
        for stack in self._stacks:
            stack.takes(proba=False)
        if self._bundle.group_values is not None:
            self._bundle.group_values.of((), ())

    def child(self, key: object) -> Any:
        """Return a copy of one group's fitted estimator.

        Where predictions are blended (shrinkage) it is the group's own part; the meta-model adds its parents'.

        Parameters
        ----------
        key
            One value for every group column, in order; a bare value where there is one group column. A shorter tuple
            names a parent, the empty tuple the global model.

        Raises
        ------
        InvalidKey, UnknownGroup, CorruptBundle
            The key is none, has no child, or its bytes are damaged.
        """
        child = self._bundle.fresh_child(self._canonical(key))
        features = self.manifest.features
        return with_feature_names(child, features.names) if features.layout == "array" else child

    def radius(self, key: object) -> float | None:
        """Half the width of one group's prediction intervals.

        Parameters
        ----------
        key
            As for `child`.

        Returns
        -------
        float or None
            In units of the target; None where the model, or the group, has no intervals.

        Raises
        ------
        InvalidKey, CorruptBundle
            The key is none, or the bundle's values of groups are damaged.
        """
        canonical = self._canonical(key)
        radius = float(self._radii_of([canonical])[0]) if self.route.intervals else math.nan
        return None if math.isnan(radius) else radius

    def _canonical(self, key: object) -> GroupKey:
        depth = len(self.manifest.keys.columns)
        if isinstance(key, tuple) and len(key) < depth and len(key) in self.manifest.levels:
            return tuple(self.manifest.keys.canonical_value(i, value) for i, value in enumerate(key))
        return self.manifest.keys.canonical(key)

    def stats(self) -> dict[str, Any]:
        """Figures of this process: who answered how many rows, and where the time went.

        Returns
        -------
        dict
            `rows` (by status); `rows_stacked` (rows that a stack answered; parents answer without one);
            `groups_damaged_in_stacks` (whose children answer instead, as far as they were asked for); `fallback_rate`
            (share of the rows answered by a parent or the global model); `cache` (hits, misses, evictions, refused,
            entries, bytes, limit; of all models that share it); `preload` (groups asked, loaded, stacked, no_room,
            unknown, damaged; None without); `seconds_reading`, `seconds_unpickling` and `seconds_predicting`.
        """
        with self._lock:
            tally = replace(self._tally, rows=Counter(self._tally.rows))
        return {
            **tally.figures(),
            "groups_damaged_in_stacks": sum(stack.damaged for stack in self._stacks),
            "cache": self._bundle.cache.stats(),
            "preload": None if self._preloaded is None else asdict(self._preloaded),
            "seconds_reading": self._bundle.seconds_reading,
            "seconds_unpickling": self._bundle.seconds_unpickling,
        }


def _reopened(
    path: Path, limit: int | None, defaults: Mapping[str, Any], loader: ChildLoader | None, logged: Path | None
) -> MetaModel:
    return MetaModel(path, None if limit is None else ByteCache(limit), defaults, loader, logged)
