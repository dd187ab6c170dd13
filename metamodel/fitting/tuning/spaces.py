"""Search spaces: which values of which parameters are tried, written short, read from YAML, JSON or Python.

A space says for each candidate, by its name, what its parameters may be::

    ridge:
      alpha: {low: 0.001, high: 1000, log: true}
    random_forest:
      max_depth: {low: 2, high: 12}          # whole numbers, because both ends are
      max_features: [0.3, 0.6, 1.0]          # one of these
    hist_gradient_boosting: auto             # the built-in space

In Python ``(0.001, 1000, "log")`` and ``(2, 12)`` are short for such ranges.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from metamodel.common.messages import did_you_mean, listing, short
from metamodel.common.option import read_settings
from metamodel.common.validation import is_number
from metamodel.exceptions import InputError
from metamodel.fitting.spec import Candidate
from metamodel.fitting.tuning.default_spaces import BUILT_IN

__all__ = ["Dimension", "Space", "parameter_path", "read_space", "spaces_of"]

Plain = dict[str, Any]

"""A space as plain JSON values: what is logged."""

_RANGE_WORDS = ("low", "high", "log", "step")

_AUTO = "auto"


@dataclass(frozen=True)
class Dimension:
    """What one parameter may be.

    Attributes
    ----------
    kind
        "float", "int" or "category".
    low, high, log, step
        A range, ends included; `log` spaces the tries evenly over the orders of magnitude.
    choices
        Of a category.
    """

    kind: Literal["float", "int", "category"]
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def to_dict(self) -> Plain:
        """Plain JSON form, for the digest."""
        return asdict(self)


Space = Mapping[str, Dimension]

"""What each parameter of one candidate may be."""


def read_space(tune: object) -> Plain | str | None:
    """Bring the caller's `tune` to plain values.

    Parameters
    ----------
    tune
        None or False for no tuning, True or "auto" for the built-in spaces, the path of a YAML or JSON file, or a
        mapping from candidates to their spaces.

    Raises
    ------
    InputError
        The file cannot be read, or holds no mapping.

    Examples
    --------
    >>> read_space({"ridge": {"alpha": (0.1, 10, "log")}})
    {'ridge': {'alpha': {'low': 0.1, 'high': 10, 'log': True}}}
    """
    if tune is None or tune is False or tune == "":
        return None
    if tune is True or tune == _AUTO:
        return _AUTO
    found, source = tune, "tune"
    if isinstance(tune, str | Path):
        found, source = _from_file(Path(tune)), str(tune)
    if not isinstance(found, Mapping) or not found:
        raise InputError(
            f"The search space {short(source)} is {short(found)}, no mapping from candidates to their parameters. "
            'Write such as {"ridge": {"alpha": {"low": 0.01, "high": 100, "log": true}}}, or use "auto".'
        )
    return {str(name): _plain_space(str(name), space) for name, space in found.items()}


def spaces_of(plain: Plain | str, candidates: Sequence[Candidate]) -> dict[str, Space]:
    """Check a space against the candidates.

    Parameters
    ----------
    plain
        From `read_space`.
    candidates
        The estimators that are tried in every group.

    Returns
    -------
    dict
        The candidates that are tuned, and how. With "auto" a candidate without a built-in space is left out.

    Raises
    ------
    InputError
        A name is no candidate, a parameter does not exist, a range is empty, or nothing would be tuned.
    """
    named = {candidate.name: candidate for candidate in candidates}
    if isinstance(plain, str):
        plain = {name: _AUTO for name in named if name in BUILT_IN}
        if not plain:
            raise InputError(
                f"tune='auto' has no built-in space for {listing(map(repr, named))}. "
                f"Give a space of your own, or use one of: {', '.join(sorted(BUILT_IN))}."
            )
    if unknown := [name for name in plain if name not in named]:
        raise InputError(
            f"The search space names {listing(map(repr, unknown))}, which is no candidate. "
            f"Candidates: {listing(map(repr, named))}.{did_you_mean(unknown, named)}"
        )
    return {name: _space(named[name], space) for name, space in plain.items()}


def parameter_path(estimator: Any, name: str) -> str | None:
    """Spell a parameter as `set_params` takes it; None where there is none of that name.

    A pipeline's last step needs no prefix, so that a space holds whatever a named estimator was put behind.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> parameter_path(make_pipeline("passthrough", Ridge()), "alpha")
    'ridge__alpha'
    """
    known = estimator.get_params(deep=True)
    if name in known:
        return name
    steps = getattr(estimator, "steps", None)
    path = f"{steps[-1][0]}__{name}" if steps else name
    return path if path in known else None


def _from_file(path: Path) -> Any:
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise InputError(
            f"tune={short(str(path))} is neither 'auto' nor a .yaml, .yml or .json file. Give one of these."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The search space {short(str(path))} cannot be read ({error}). Check the path.") from error
    try:
        return read_settings(text, is_json=path.suffix.lower() == ".json")
    except ValueError as error:
        raise InputError(f"The search space {short(str(path))} is malformed ({error}). Correct the file.") from error


def _plain_space(candidate: str, space: object) -> Plain | str:
    if space == _AUTO or space is True:
        return _AUTO
    if not isinstance(space, Mapping) or not space:
        raise InputError(
            f"The search space of {candidate!r} is {short(space)}, no mapping from parameters to their values. "
            'Write such as {"alpha": {"low": 0.01, "high": 100, "log": true}}, or "auto".'
        )
    return {str(name): _plain_values(f"{candidate}.{name}", values) for name, values in space.items()}


def _plain_values(where: str, values: object) -> Any:
    if isinstance(values, Mapping):
        return {str(word): _plain_value(value) for word, value in values.items()}
    if isinstance(values, tuple):
        log = len(values) == 3 and values[2] == "log"
        if len(values) != 2 and not log:
            raise InputError(f'{where}={short(values)} is no range. Write (low, high) or (low, high, "log").')
        return {"low": _plain_value(values[0]), "high": _plain_value(values[1]), **({"log": True} if log else {})}
    if isinstance(values, list):
        return [_choice(where, _plain_value(value)) for value in values]
    raise InputError(
        f"{where}={short(values)} is neither a range nor a list. Write {{low: ..., high: ...}} or [..., ...]."
    )


def _choice(where: str, value: Any) -> Any:
    """Insist on a choice that the table of searches, and other processes, can be told of."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} lists {short(value)}, which JSON cannot hold. "
            "List numbers, texts, true, false, null, or lists or tuples of these; give estimators as candidates."
        ) from error
    return value


def _plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _space(candidate: Candidate, space: Plain | str) -> Space:
    if isinstance(space, str):
        if candidate.name not in BUILT_IN:
            raise InputError(
                f"There is no built-in search space for {candidate.name!r}. Write one, or leave it out. "
                f"Built in: {', '.join(sorted(BUILT_IN))}."
            )
        space = _plain_space(candidate.name, BUILT_IN[candidate.name])
        assert isinstance(space, dict)
    for name in space:
        if parameter_path(candidate.estimator, name) is None:
            raise InputError(_unknown_parameter(candidate, name))
    return {name: _dimension(f"{candidate.name}.{name}", values) for name, values in space.items()}


def _unknown_parameter(candidate: Candidate, name: str) -> str:
    steps = getattr(candidate.estimator, "steps", None)
    last = steps[-1][1] if steps else candidate.estimator
    known = sorted(last.get_params(deep=False))
    remedy = did_you_mean(name, known) or f" It has: {', '.join(known)}."
    return f"The space of {candidate.name!r} names {name!r}, which is no parameter of {candidate.label}.{remedy}"


def _dimension(where: str, values: Any) -> Dimension:
    if isinstance(values, list):
        if not values:
            raise InputError(f"{where}=[] leaves no value to try. List at least one.")
        return Dimension("category", choices=tuple(values))
    if odd := [word for word in values if word not in _RANGE_WORDS]:
        raise InputError(
            f"{where} has {listing(map(repr, odd))}, which no range has. Use {', '.join(_RANGE_WORDS)}, or a list."
        )
    low, high = (_number(where, word, values.get(word)) for word in ("low", "high"))
    log, step = values.get("log", False), values.get("step")
    if not isinstance(log, bool):
        raise InputError(f"{where}.log={short(log)} is neither true nor false.")
    step = None if step is None else _number(where, "step", step)
    if low > high or (step is not None and step <= 0):
        raise InputError(f"{where} is an empty range ({short(values)}). Give low <= high, and a step above 0.")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{where} cannot be a log range ({short(values)}). Give low above 0 and no step.")
    whole = all(isinstance(number, int) for number in (low, high, step or 1))
    return Dimension("int" if whole else "float", low, high, log, step)


def _number(where: str, word: str, value: Any) -> float:
    if isinstance(value, str):  # YAML reads 1e-3 as a text
        try:
            value = float(value)
        except ValueError:
            value = None
    if not is_number(value) or not math.isfinite(value):
        raise InputError(f"{where} has no number as {word!r}. Write {{low: ..., high: ...}}, or a list of values.")
    return value
