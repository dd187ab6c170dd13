"""Two versions of one small model, and roll-outs of them."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient

import metamodel
from metamodel.bundle.rollout.rollout_files import write_rollout
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.flavor.load import load_model
from metamodel.prediction.answers import ShadowAnswer
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.tracking.registry import register_version

FEATURES = ["x", "z"]

_numbers = itertools.count()

# What each training was logged as, and its first version.
_logged: dict[Path, tuple[str, str, str]] = {}


def panel(groups: int = 12, rows: int = 20, shift: float = 0.0, shifted: int = 0) -> pd.DataFrame:
    """A table in which every shop has its own slope; in the first shops the target lies higher by `shift`."""
    rng = np.random.default_rng(7)
    shop = np.repeat(np.arange(groups), rows)
    frame = pd.DataFrame({"shop": shop, "x": rng.normal(size=len(shop)), "z": rng.normal(size=len(shop))})
    noise = rng.normal(size=len(shop)) / 10
    return frame.assign(y=frame["x"] * (shop + 1) + noise + np.where(shop < shifted, shift, 0.0))


def trained(directory: Path, frame: pd.DataFrame, **options: Any) -> metamodel.MetaModel:
    given = {"estimator": "ridge", "features": FEATURES, "n_jobs": 1, "prune": False, **options}
    return metamodel.MetaModel(metamodel.train(frame, "shop", "y", output_dir=directory, **given).bundle_path)


def two_models(directory: Path, **options: Any) -> tuple[metamodel.MetaModel, metamodel.MetaModel]:
    """A champion, and a challenger that has three of twelve shops otherwise."""
    champion = trained(directory / "champion", panel(), **options)
    return champion, trained(directory / "challenger", panel(shift=5.0, shifted=3), **options)


def rolled_out(
    directory: Path, champion: metamodel.MetaModel, challenger: metamodel.MetaModel, **choices: Any
) -> RolloutModel:
    """Write a roll-out, and open it."""
    place = directory / "rollout"
    write_rollout(champion.bundle, challenger.bundle, Rollout.of(choices.pop("entity", None), **choices), place)
    opened = load_model(place)
    assert isinstance(opened, RolloutModel)
    return opened


def visitors(n: int = 240) -> pd.DataFrame:
    """Rows of customers; every seventh is not signed in, and shop 99 is unknown."""
    rng = np.random.default_rng(3)
    customer = [None if i % 7 == 0 else f"c-{i % 50}" for i in range(n)]
    shop = np.where(np.arange(n) % 31 == 0, 99, np.arange(n) % 12)
    return pd.DataFrame({"shop": shop, "x": rng.normal(size=n), "z": rng.normal(size=n), "customer": customer})


def files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.rglob("*")) if path.is_file()]


def results(directory: Path, *frames: pd.DataFrame, **options: Any) -> list[metamodel.TrainingResult]:
    """Train on each table."""
    given = {"estimator": "ridge", "features": FEATURES, "n_jobs": 1, "prune": False, **options}
    places = [directory / str(number) for number in range(len(frames))]
    return [
        metamodel.train(frame, "shop", "y", output_dir=place, **given)
        for frame, place in zip(frames, places, strict=True)
    ]


def versions(*of: metamodel.TrainingResult) -> str:
    """Register a model with a version for each training; the first is the champion.

    A training is logged once: for further models its versions are registered again, as they are.
    """
    name, client = f"rolled-{next(_numbers)}", MlflowClient()
    for result in of:
        if earlier := _logged.get(result.bundle_path):
            model_id, first, number = earlier
            version = client.get_model_version(first, number)
            register_version(name, model_id, version.description, version.tags, None)
        else:
            info = metamodel.log_model(result, registered_model_name=name, report=False)
            _logged[result.bundle_path] = info.model_id, name, str(info.registered_model_version)
    metamodel.promote(name, 1)
    return name


def alias_of(name: str) -> str:
    return str(MlflowClient().get_registered_model(name).aliases["champion"])


def has_answered(shadow: ShadowAnswer, seconds: float = 60) -> bool:
    """Wait until a challenger in the shadow has answered a call, or failed."""
    end = time.monotonic() + seconds
    while not shadow.done and time.monotonic() < end:
        time.sleep(0.005)
    return shadow.done
