"""A table of six groups, and trainings with overrides."""

from typing import Any

import numpy as np
import pandas as pd

from metamodel.training.train import train


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"country": np.repeat(["FR", "DE"], 60), "store": np.tile([1, 2, 3], 40)})
    return frame.assign(x=rng.normal(size=120), y=lambda f: 2 * f["x"] + rng.normal(size=120))


def fit(data: Any, overrides: Any, **options: Any) -> Any:
    return train(data, ["country", "store"], "y", "ridge", **{"overrides": overrides, "n_jobs": 1, **options})
