"""By which name and version a log knows a model that answers."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from metamodel.bundle.model import MetaModel
from metamodel.flavor.remote.mlmodel import MLMODEL

__all__ = ["model_identity"]

# What MLflow writes beside the model that it fetches for a server.
_REGISTERED = "registered_model_meta"


def model_identity(model: MetaModel, version: str = "") -> tuple[str, str]:
    """Name a model: by its registered version, else by what tells it from others.

    Parameters
    ----------
    model
        As it was opened.
    version
        The registered version, as ``sales/8``; "" to find out.

    Returns
    -------
    name, version
        Of a model that is not registered its id, or its folder, and the first digits of its digest.
    """
    if version:
        name, _, number = version.rpartition("/")
        return name, number
    path = model.logged or model.path
    for place in _upwards(path):
        if (place / _REGISTERED).is_file():
            described = yaml.safe_load((place / _REGISTERED).read_text(encoding="utf-8"))
            if described["model_version"] not in (None, "None"):  # as of models:/m-..., which no name leads to
                return str(described["model_name"]), str(described["model_version"])
        if (place / MLMODEL).is_file():
            described = yaml.safe_load((place / MLMODEL).read_text(encoding="utf-8"))
            return str(described.get("model_id") or place.name), model.digest[:12]
    return path.name, model.digest[:12]


def _upwards(path: Path) -> Iterable[Path]:
    """Name the places to look at: a bundle lies at most so deep in its logged model."""
    return [path, *list(path.absolute().parents)[:3]]
