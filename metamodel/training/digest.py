"""Digest what a training was asked for: the same digest and the same rows give the same child."""

import hashlib
import json
from typing import Any

from metamodel.common.option import declared
from metamodel.fitting.content import content
from metamodel.fitting.spec import FitSpec
from metamodel.training.options import TrainingOptions, Tuning

__all__ = ["spec_digest"]

# What `FitSpec.tuning` says of a search counts, not how it was asked for.
_DECISIVE = {one.name for one in declared(TrainingOptions) if one.decisive} - {one.name for one in declared(Tuning)}


def spec_digest(options: TrainingOptions, spec: FitSpec, features: dict[str, Any]) -> str:
    """Digest of all that decides what a group's rows are turned into: the same digest and rows give the same child.

    Where and how fast the work is done (engine, n_jobs, stack) is left out, and so is which groups are fitted at all
    and which children are stored.
    """
    decisive = {name: value for name, value in options.to_dict().items() if name in _DECISIVE}
    candidates = [[c.name, c.label, content(c.estimator)] for c in spec.candidates]
    # The parents' best parameters are tried first, where there are parents.
    tuning = [content(spec.tuning), options.with_parents] if spec.tuning is not None else []
    copies = [spec.drop_duplicates, spec.spread_copies]
    settings = [spec.settings.to_dict()] if spec.settings else []
    decided = [decisive, spec.task, candidates, features, copies, *tuning, *settings]
    text = json.dumps(decided, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
