"""Write the golden bundles of the format version, and the answers they must give.

    python tests/data/make_golden_bundle.py tests/data/golden-v1

Until the first release they are made anew with every change of the format. After that they stand for the bundles that
users have, and are never made again: a new format version gets a directory of its own.

Two bundles hold all that a bundle can hold. `regressors`: LinearRegression, blended with their parents (shrinkage),
with prediction intervals, stacked, and enough groups for the shard to be compressed. `classifiers`: GaussianNB, whose
labels differ by group. Both have text and integer keys, a fallback chain and a skipped group, and both are stored by
skops: a pickle would tie them to the very versions of Python and scikit-learn that wrote it, and a class of our own
would have to be kept importable; skops stores names and arrays, and both families predict from a few arrays that have
had the same names since scikit-learn 1.0.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.naive_bayes import GaussianNB

from metamodel.bundle.model import MetaModel
from metamodel.training.train import train

# What the questions are asked with.
PARAMS = {"regressors": {"detail": True}, "classifiers": {"predict_method": "predict_proba", "detail": True}}

_SHOPS = [("FR", 7), ("FR", 8), ("DE", 7), ("côte d'Ivoire 🦉", 7), *(("IT", store) for store in range(100, 150))]

_COMMON = {
    "holdout": 0.25,
    "min_rows": 5,
    "unknown": "fallback",
    "prune": False,
    "pooled": False,
    "codec": "skops",
    "n_jobs": 1,
}

_OPTIONS: dict[str, dict[str, Any]] = {
    "regressors": {"interval": 0.9, "shrinkage": "constant", "shrinkage_params": {"alpha": 0.25}, "stack": True},
    "classifiers": {"stack": False},
}


def training_table(kind: str) -> pd.DataFrame:
    """Shops with 12 rows each, but for one with a single row."""
    rng = np.random.default_rng(1)
    shops = _SHOPS if kind == "regressors" else _SHOPS[:4]
    rows = [(*shop, *rng.normal(size=2).round(3)) for shop in shops for _ in range(12)]
    frame = pd.DataFrame(rows, columns=["country", "store", "price", "age"])
    sold = frame["price"] * frame["store"] / 7 + frame["age"] + rng.normal(size=len(frame)).round(3)
    labels = np.where(sold > 0, "much", np.where(frame["country"] == "FR", "peu", "little"))
    frame["sold"] = sold if kind == "regressors" else labels
    return pd.concat([frame, frame.iloc[:1].assign(store=9)], ignore_index=True)


def questions() -> pd.DataFrame:
    """One row for every way in which a row can be answered."""
    keys = [*_SHOPS[:5], ("FR", 9), ("FR", 1000), ("XX", 1), ("FR", None)]
    frame = pd.DataFrame(keys, columns=["country", "store"], dtype=object)
    return frame.assign(price=np.linspace(-1, 1, len(frame)), age=0.25)


def main(directory: Path) -> None:
    """Train, ask, and write both down."""
    for kind, params in PARAMS.items():
        bundle, estimator = directory / kind, "linear_regression" if kind == "regressors" else GaussianNB()
        train(
            training_table(kind),
            ["country", "store"],
            "sold",
            estimator,
            output_dir=bundle,
            **_COMMON,
            **_OPTIONS[kind],
        )
        answers = MetaModel(bundle).predict(questions(), params)
        records = answers.astype(object).where(answers.notna(), None).to_dict("records")
        text = json.dumps(records, indent=1, ensure_ascii=False) + "\n"
        (directory / f"{kind}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
