"""The options of a training as they can be written into a file that repeats it: `config.yaml`, beside the run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metamodel.common.messages import short
from metamodel.common.option import OptionGroup

__all__ = ["OBJECTS", "config_text", "written_down"]

# A longer array, and a column whatever its length, holds rows of a table.
_LONGEST = 100

# Options that are names of columns, in whatever holds names.
_NAMES = ("group_by", "features")

# Under this key stands what only a program can give again.
OBJECTS = "objects"

_HEAD = "# Options of a command, as its `--config FILE` takes them. What is not here was not given.\n"


def written_down(options: Mapping[str, Any]) -> dict[str, Any]:
    """Bring options to what YAML can hold; objects are named, never copied, and a table, or a column, not even shown.

    Examples
    --------
    >>> import numpy as np
    >>> written_down({"estimator": "ridge", "trials": np.int64(5), "data": object, "metric": None})
    {'estimator': 'ridge', 'trials': 5, 'objects': {'data': 'type'}}
    """
    plain, objects = {}, {}
    for name, value in options.items():
        try:
            plain[name] = _plain(list(value) if name in _NAMES and hasattr(value, "iloc") else value)
        except TypeError:
            objects[name] = _described(value)
    given = {name: value for name, value in plain.items() if value is not None}
    return given | ({OBJECTS: objects} if objects else {})


def config_text(options: Mapping[str, Any], groups: Iterable[OptionGroup]) -> str:
    """Write options, those of each group under its key.

    Parameters
    ----------
    options
        From `written_down`, and others of the same kind.
    groups
        In the order of the file; what belongs to none of them comes last.
    """
    import yaml

    left = dict(options)
    grouped = {
        group.key: {one.name: left.pop(one.name) for one in group.options if one.name in left} for group in groups
    }
    content = {key: held for key, held in grouped.items() if held} | left
    return _HEAD + str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _plain(value: Any) -> Any:
    """Make plain values of one option's value, or raise TypeError."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist") and not hasattr(value, "iloc"):  # of NumPy, or an Index of names
        if getattr(value, "size", 1) > _LONGEST:
            raise TypeError(type(value).__name__)
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {_word(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or type(value) in (str, bool, int, float):
        return value
    raise TypeError(type(value).__name__)


def _word(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(type(name).__name__)
    return name


def _described(value: Any) -> str:
    """Name an object; a table, or a list or mapping with one inside, is not shown."""
    estimators = hasattr(value, "get_params") or isinstance(value, list | tuple | Mapping)
    return " ".join(short(value).split()) if estimators and not _holds_rows(value) else type(value).__name__


def _holds_rows(value: Any) -> bool:
    """Whether a value is, or has inside, what may show rows: a table, a column or an array."""
    if isinstance(value, Mapping):
        return any(map(_holds_rows, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_rows, value))
    return any(hasattr(value, name) for name in ("columns", "iloc", "__array__"))
