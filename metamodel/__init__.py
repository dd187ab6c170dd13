"""One scikit-learn style child model for each group of a table, shipped as one MLflow model.

>>> import metamodel
>>> result = metamodel.train(frame, group_by=["country", "store"], target="sales")      # doctest: +SKIP
>>> info = metamodel.log_model(result, registered_model_name="sales", alias="champion")  # doctest: +SKIP
>>> metamodel.load_model("models:/sales@champion").predict(frame)                         # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

from metamodel.common.fork_lock import not_during_fork

if TYPE_CHECKING:
    from metamodel import datasets, exceptions
    from metamodel.bundle.model import MetaModel
    from metamodel.bundle.references import ReferenceSettings
    from metamodel.evaluation.shrinkage import Shrinkage
    from metamodel.exceptions import (
        AllGroupsFailed,
        BundleError,
        CorruptBundle,
        InputError,
        InvalidKey,
        MetaModelError,
        UnknownGroup,
    )
    from metamodel.flavor.load import load_model
    from metamodel.lifecycle.explain import explain
    from metamodel.lifecycle.gate import gate
    from metamodel.lifecycle.history import history
    from metamodel.lifecycle.promote import promote
    from metamodel.lifecycle.rollback import rollback
    from metamodel.lifecycle.rollouts.compare_variants import compare_variants
    from metamodel.lifecycle.rollouts.rollout import rollout
    from metamodel.lifecycle.update import update
    from metamodel.lifecycle.versions import versions
    from metamodel.monitoring.acknowledge import acknowledge
    from metamodel.monitoring.monitor import monitor
    from metamodel.prediction_log.compaction import compact_log
    from metamodel.prediction_log.log_reader import read_log
    from metamodel.scoring import score
    from metamodel.tracking.log_training import log_model
    from metamodel.tracking.references.reference_model import reference
    from metamodel.training.options.groups import Tuning
    from metamodel.training.options.split_objects import Holdout, KFold, Rolling
    from metamodel.training.result import TrainingResult
    from metamodel.training.train import train

from metamodel.common.version import __version__ as __version__

__all__ = [
    "AllGroupsFailed",
    "BundleError",
    "CorruptBundle",
    "Holdout",
    "InputError",
    "InvalidKey",
    "KFold",
    "MetaModel",
    "MetaModelError",
    "ReferenceSettings",
    "Rolling",
    "Shrinkage",
    "TrainingResult",
    "Tuning",
    "UnknownGroup",
    "acknowledge",
    "compact_log",
    "compare_variants",
    "datasets",
    "exceptions",
    "explain",
    "gate",
    "history",
    "load_model",
    "log_model",
    "monitor",
    "promote",
    "read_log",
    "reference",
    "rollback",
    "rollout",
    "score",
    "train",
    "update",
    "versions",
]

# Public name → module. Each is imported when it is first used, so that `import metamodel` costs next to nothing.
_ORIGINS = {
    **dict.fromkeys(
        [
            "AllGroupsFailed",
            "BundleError",
            "CorruptBundle",
            "InputError",
            "InvalidKey",
            "MetaModelError",
            "UnknownGroup",
        ],
        "metamodel.exceptions",
    ),
    **dict.fromkeys(["Holdout", "KFold", "Rolling"], "metamodel.training.options.split_objects"),
    "MetaModel": "metamodel.bundle.model",
    "ReferenceSettings": "metamodel.bundle.references",
    "Shrinkage": "metamodel.evaluation.shrinkage",
    "TrainingResult": "metamodel.training.result",
    "Tuning": "metamodel.training.options.groups",
    "acknowledge": "metamodel.monitoring.acknowledge",
    "compact_log": "metamodel.prediction_log.compaction",
    "explain": "metamodel.lifecycle.explain",
    "gate": "metamodel.lifecycle.gate",
    "history": "metamodel.lifecycle.history",
    "load_model": "metamodel.flavor.load",
    "log_model": "metamodel.tracking.log_training",
    "monitor": "metamodel.monitoring.monitor",
    "promote": "metamodel.lifecycle.promote",
    "read_log": "metamodel.prediction_log.log_reader",
    "reference": "metamodel.tracking.references.reference_model",
    "rollback": "metamodel.lifecycle.rollback",
    "compare_variants": "metamodel.lifecycle.rollouts.compare_variants",
    "rollout": "metamodel.lifecycle.rollouts.rollout",
    "score": "metamodel.scoring",
    "train": "metamodel.training.train",
    "update": "metamodel.lifecycle.update",
    "versions": "metamodel.lifecycle.versions",
}


def __getattr__(name: str) -> Any:
    with not_during_fork():
        if name in _ORIGINS:
            return getattr(importlib.import_module(_ORIGINS[name]), name)
        if name in ("datasets", "exceptions"):
            return importlib.import_module(f"metamodel.{name}")
    raise AttributeError(f"module 'metamodel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
