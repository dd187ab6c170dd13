"""Digest what a training was asked for: the same digest and the same rows give the same child."""

import hashlib
import json
from typing import Any

from metamodel.fitting.content import content
from metamodel.fitting.spec import FitSpec
from metamodel.training.options import TrainingOptions

__all__ = ["spec_digest"]

# Of tuning, `FitSpec.tuning` says what counts.
_TUNING = ("tune", "trials", "patience", "tune_seconds", "budget_seconds")

_NOT_DECISIVE = ("engine", "n_jobs", "unknown", "max_group_rows", "stack", "prune", "shrinkage", "interval", *_TUNING)


def spec_digest(options: TrainingOptions, spec: FitSpec, features: dict[str, Any]) -> str:
    """Digest of all that decides what a group's rows are turned into: the same digest and rows give the same child.

    Where and how fast the work is done (engine, n_jobs, stack) is left out, and so is which groups are fitted at all
    and which children are stored.
    """
    decisive = {name: value for name, value in options.to_dict().items() if name not in _NOT_DECISIVE}
    candidates = [[c.name, c.label, content(c.estimator)] for c in spec.candidates]
    # The parents' best parameters are tried first, where there are parents.
    tuning = [content(spec.tuning), options.with_parents] if spec.tuning is not None else []
    text = json.dumps([decisive, spec.task, candidates, features, *tuning], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
