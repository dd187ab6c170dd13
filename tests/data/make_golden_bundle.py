"""Write the golden bundle of the current format version, and the answers it must give for ever.

    python tests/data/make_golden_bundle.py tests/data/golden-v3

Run it once, in the release that introduces a format version, and commit what it writes. Never run it again for that
version: the bundle stands for those that users have.

The children are GaussianNB stored by skops. A pickle would tie the bundle to the very versions of Python and
scikit-learn that wrote it, and a class of our own would have to be kept importable; skops stores names and arrays, and
GaussianNB predicts from four arrays that have had the same names since scikit-learn 1.0. The table has text and integer
keys, a fallback chain, a skipped group, and labels that differ by group. In version 2 there are enough groups for
the shard to be compressed; version 1 had the first four. Version 3 has these four again, each with a LinearRegression
(two arrays), because only regressors' predictions are blended.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.training.train import train

# What the questions are asked with, by version.
PARAMS = {version: {"predict_method": "predict_proba", "detail": True} for version in (1, 2)} | {3: {"detail": True}}


def training_table() -> pd.DataFrame:
    """Four shops, 12 rows each, but for one with a single row."""
    rng = np.random.default_rng(1)
    shops = [("FR", 7), ("FR", 8), ("DE", 7), ("côte d'Ivoire 🦉", 7)]
    rows = [(*shop, *rng.normal(size=2).round(3)) for shop in shops for _ in range(12)]
    frame = pd.DataFrame(rows, columns=["country", "store", "price", "age"])
    frame["sold"] = frame["price"] * frame["store"] + frame["age"] + rng.normal(size=len(frame)).round(3)
    return pd.concat([frame, frame.iloc[:1].assign(store=9)], ignore_index=True)


def questions() -> pd.DataFrame:
    """One row for every way in which a row can be answered."""
    keys = [("FR", 7), ("FR", 8), ("DE", 7), ("côte d'Ivoire 🦉", 7), ("FR", 9), ("FR", 1000), ("XX", 1), ("FR", None)]
    frame = pd.DataFrame(keys, columns=["country", "store"], dtype=object)
    return frame.assign(price=np.linspace(-1, 1, len(frame)), age=0.25)


def main(directory: Path) -> None:
    """Train, ask, and write both down."""
    bundle = directory / "bundle"
    options = {"holdout": 0.25, "min_rows": 5, "unknown": "fallback", "codec": "skops", "n_jobs": 1, "stack": False}
    options |= {"shrinkage": "constant", "shrinkage_params": {"alpha": 0.25}}
    train(training_table(), ["country", "store"], "sold", "linear_regression", output_dir=bundle, **options)
    answers = MetaModel(bundle).predict(questions(), PARAMS[3])
    records = answers.astype(object).where(answers.notna(), None).to_dict("records")
    (directory / "answers.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
