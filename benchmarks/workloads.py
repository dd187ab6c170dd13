"""What the benchmarks measure: families of children, tables of rows, bundles on disk, the children by themselves."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter, compress_shard
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.tables.keys import encode_key
from metamodel.training.build_stacks import stack_bundle

KEY = "store"
NUMBERS = [f"x{i}" for i in range(10)]
TEXT = "weekday"
WEEKDAYS = np.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], dtype=object)
# Groups whose children are all fitted. Where there are more, the same children stand under many keys, each key with its
# own copy of the bytes: reading, stacking and predicting cost the same, and fitting 50,000 forests would take hours.
DISTINCT = 500


def _xgboost() -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=20, max_depth=4, n_jobs=1)


def _mixed_pipeline() -> Any:
    columns = [("text", OneHotEncoder(handle_unknown="ignore"), [TEXT]), ("numbers", StandardScaler(), NUMBERS)]
    return make_pipeline(ColumnTransformer(columns), Ridge())


FAMILIES: dict[str, Callable[[], Any]] = {
    "ridge": Ridge,
    "scaler_ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "logistic": LogisticRegression,
    "forest": lambda: RandomForestRegressor(n_estimators=20, n_jobs=1),
    "forest_100": lambda: RandomForestRegressor(n_estimators=100, n_jobs=1),
    "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(max_iter=10, early_stopping=False),
    "xgboost": _xgboost,
    "mixed_pipeline": _mixed_pipeline,  # strings and numbers: its children take frames
    "neighbors": KNeighborsRegressor,  # takes arrays and is never stacked: shows what routing alone costs
}


def features(family: str) -> list[str]:
    """Names of the feature columns of a family."""
    return [*NUMBERS, TEXT] if family == "mixed_pipeline" else NUMBERS


@dataclass(frozen=True)
class Workload:
    """One family over many groups, and a mixed batch for it.

    Parameters
    ----------
    family, groups
        Which children, and how many.
    frame
        The batch: a string key and the features, rows in random order.
    codes
        Shape (n_rows,): which group each row belongs to.
    path
        The bundle.
    train_rows
        Rows that each child was trained on.
    """

    family: str
    groups: int
    frame: pd.DataFrame
    codes: np.ndarray
    path: Path
    train_rows: int

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return features(self.family)

    @property
    def takes_frames(self) -> bool:
        """Whether the children take frames and nothing else."""
        return TEXT in self.features

    def children(self, limit: int, *, named: bool = False) -> dict[str, Any]:
        """Load the children of the first groups by hand, as a dict of models holds them.

        With `named` they know their features' names, as children do that were fitted on frames, and take frames.
        """
        model = MetaModel(self.path)
        load = model.child if named else lambda name: model.bundle.fresh_child((name,))
        return {name: load(name) for name in names(min(limit, self.groups))}

    def first_groups(self, limit: int) -> tuple[pd.DataFrame, float]:
        """Rows of the first groups, and what their time has to be multiplied by to estimate all rows."""
        if limit >= self.groups:
            return self.frame, 1.0
        part = self.frame[self.codes < limit]
        return part, len(self.frame) / max(1, len(part))

    def own_input(self, frame: pd.DataFrame) -> Any:
        """Rows of one group in the form that its child takes at the least cost."""
        return frame[self.features] if self.takes_frames else frame[self.features].to_numpy()


def names(groups: int) -> list[str]:
    """Return the keys of the groups."""
    return [f"store-{i:05d}" for i in range(groups)]


def training_table(family: str, groups: int, train_rows: int) -> pd.DataFrame:
    """Make the table that the first groups are trained on; a group's rows do not depend on the number of groups."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(groups, train_rows, len(NUMBERS)))
    y = (x * np.random.default_rng(1).normal(size=(groups, 1, len(NUMBERS)))).sum(axis=2)
    y += np.random.default_rng(2).normal(size=y.shape)
    table = pd.DataFrame(x.reshape(-1, len(NUMBERS)), columns=NUMBERS)
    if family == "mixed_pipeline":
        table[TEXT] = WEEKDAYS[np.arange(len(table)) % 7]
    table[KEY] = np.repeat(np.array(names(groups), dtype=object), train_rows)
    table["y"] = y.ravel() > 0 if family == "logistic" else y.ravel()
    return table


def bundle(family: str, groups: int, train_rows: int, root: Path, *, distinct: int = DISTINCT) -> Path:
    """Make a bundle once; later runs with the same numbers find it."""
    fitted = min(groups, distinct) if distinct else groups
    path = root / f"{family}-{fitted}-{train_rows}"
    if not path.is_dir():
        table = training_table(family, fitted, train_rows)
        estimator = FAMILIES[family]()
        metamodel.train(table, KEY, "y", estimator=estimator, holdout=0, n_jobs=2, stack=True, output_dir=path)
    if fitted == groups:
        return path
    many = root / f"{family}-{groups}-of-{fitted}-{train_rows}"
    if not many.is_dir():
        _replicate(path, many, groups, training_table(family, fitted, train_rows))
    return many


def _replicate(source: Path, target: Path, groups: int, table: pd.DataFrame) -> None:
    """Write a bundle of many groups whose children are those of a smaller one, in turn."""
    small = Bundle(source)
    keys = [encode_key((name,)) for name in names(groups)]
    rows = [row for path in sorted((source / "shards").iterdir()) for row in ShardReader(path).fitted()]
    rows.sort(key=lambda row: row.key)
    ledger = small.ledger.iloc[np.arange(groups) % len(small.ledger)].reset_index(drop=True)
    ledger = ledger.assign(**{KEY: names(groups)})
    scale = groups / len(rows)
    counts = {name: int(number * scale) for name, number in small.manifest.counts.items()}
    unfinished = target.with_name(f"unfinished-{os.getpid()}-{target.name}")
    with new_bundle(unfinished) as (directory, _):
        with ShardWriter(directory / "shards" / "00000.sqlite") as shard:
            for i, key in enumerate(keys):
                shard.add(replace(rows[i % len(rows)], key=key))
        compress_shard(shard.path)
        finish_bundle(directory, replace(small.manifest, counts=counts, stacks=()), ledger)
    if small.manifest.stacks:
        repeated = table.groupby(KEY).head(4)
        copies = -(-groups // len(rows))
        many = pd.concat([repeated] * copies, ignore_index=True).iloc[: 4 * groups]
        stack_bundle(unfinished, many.assign(**{KEY: np.repeat(np.array(names(groups), dtype=object), 4)}))
    unfinished.rename(target)


def batch(family: str, groups: int, rows: int, traffic: str = "uniform") -> tuple[pd.DataFrame, np.ndarray]:
    """Make a batch of `rows` rows over `groups` groups, uniform or Zipf, and the groups' numbers."""
    rng = np.random.default_rng(3)
    if traffic == "zipf":
        weights = 1 / np.arange(1, groups + 1)
        codes = rng.choice(groups, rows, p=weights / weights.sum())
    else:
        codes = rng.integers(0, groups, rows)
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in NUMBERS})
    if TEXT in features(family):
        frame[TEXT] = WEEKDAYS[rng.integers(0, 7, rows)]
    frame.insert(0, KEY, np.array(names(groups), dtype=object)[codes])
    return frame, codes


def workload(
    family: str, groups: int, rows: int, traffic: str, train_rows: int, root: Path, *, distinct: int = DISTINCT
) -> Workload:
    """Put a bundle and a batch together."""
    frame, codes = batch(family, groups, rows, traffic)
    path = bundle(family, groups, train_rows, root, distinct=distinct)
    return Workload(family, groups, frame, codes, path, train_rows)
