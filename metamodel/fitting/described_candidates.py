"""What a bundle says of the estimators that fitted its children."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metamodel.fitting.estimator_info import has_method, packages
from metamodel.fitting.spec import Candidate

__all__ = ["described_candidates"]

# Of children, beside `predict`; how many columns their `transform` gives is counted by the fits.
_METHODS = ("predict_proba", "decision_function", "score_samples")


def described_candidates(
    candidates: Iterable[Candidate], transformed: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Any]]:
    """Describe candidates by their names; an override may fit an estimator of the same name otherwise.

    The first of a name (one of all groups', if there is one) says which parameters it has. What is needed to load and
    ask the children must hold for all of them.

    Parameters
    ----------
    candidates
        All of them.
    transformed
        Name of a candidate → of each of its children how many columns `transform` gives, 0 where it has none.
    """
    described: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        own = _described(candidate)
        first = described.setdefault(candidate.name, own)
        first["packages"] = sorted({*first["packages"], *own["packages"]})
        first |= {name: first[name] and own[name] for name in _METHODS}
    for name, candidate_described in described.items():
        columns = transformed.get(name, ())
        candidate_described["transform"] = max(columns, default=0) if all(columns) else 0
    return described


def _described(candidate: Candidate) -> dict[str, Any]:
    return {
        "estimator": candidate.label,
        "params": candidate.params,
        "packages": packages(candidate.estimator),
        **{name: has_method(candidate.estimator, name) for name in _METHODS},
    }
