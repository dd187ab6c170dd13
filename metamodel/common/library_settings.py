"""Global settings of scikit-learn and pandas that decide what an estimator does, carried to where it is at work.

Both libraries keep them for one process, or one thread. A pipeline that was written for
``set_config(transform_output="pandas")`` does not even run in a process that does not know of it.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["LibrarySettings"]

_LOG = logging.getLogger(__name__)

# By scikit-learn's documentation of `set_config`; what only prints, or is about speed, is left out.
_SKLEARN_DEFAULTS = {
    "array_api_dispatch": False,
    "assume_finite": False,
    "enable_metadata_routing": False,
    "sparse_interface": "spmatrix",
    "transform_output": "default",
}

# Versions differ in which of them they have.
_PANDAS_OPTIONS = (
    "future.infer_string",
    "future.no_silent_downcasting",
    "mode.copy_on_write",
    "mode.string_storage",
    "mode.use_inf_as_na",
)

_DEFAULT_AND_CURRENT = re.compile(r"\[default: (.*?)\] \[currently: (.*?)\]", re.DOTALL)


@dataclass(frozen=True)
class LibrarySettings:
    """Settings that are not the default.

    Parameters
    ----------
    sklearn
        Keywords of `sklearn.set_config`.
    pandas
        Options of `pandas.set_option`.

    Examples
    --------
    >>> import sklearn
    >>> with sklearn.config_context(transform_output="pandas"):
    ...     LibrarySettings.current().to_dict()
    {'sklearn': {'transform_output': 'pandas'}, 'pandas': {}}
    """

    sklearn: Mapping[str, Any] = field(default_factory=dict)
    pandas: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sklearn or self.pandas)

    @classmethod
    def current(cls) -> Self:
        """Read those of this process and thread."""
        from sklearn import get_config

        config = get_config()
        changed = {name: config[name] for name in _SKLEARN_DEFAULTS.keys() & config.keys()}
        sklearn = {name: value for name, value in sorted(changed.items()) if value != _SKLEARN_DEFAULTS[name]}
        return cls(sklearn, _changed_pandas_options())

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(dict(settings.get("sklearn", {})), dict(settings.get("pandas", {})))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {"sklearn": dict(self.sklearn), "pandas": dict(self.pandas)}

    @contextmanager
    def for_fits(self) -> Iterator[None]:
        """Have all of them inside the block: in a worker process, which has nothing else to do."""
        with ExitStack() as stack:
            stack.enter_context(self.for_predictions())
            if missing := self.missing_in_pandas():
                import pandas as pd

                stack.enter_context(pd.option_context(*(part for option in missing.items() for part in option)))
            yield

    @contextmanager
    def for_predictions(self) -> Iterator[None]:
        """Have those of scikit-learn inside the block, which are each thread's own; pandas' are the whole process's."""
        if not self.sklearn:
            yield
            return
        from sklearn import config_context

        with config_context(**self.sklearn):
            yield

    def tell_missing(self) -> None:
        """Warn of options of pandas that children were fitted under and that have another value in this process."""
        for name, value in self.missing_in_pandas().items():
            _LOG.warning(
                "The children were fitted under the pandas option %s=%r, which is not set here. "
                "Call pandas.set_option(%r, %r) before the model is loaded.",
                *(name, value, name, value),
            )

    def missing_in_pandas(self) -> dict[str, Any]:
        """Options of pandas that have another value here."""
        if not self.pandas:
            return {}
        import pandas as pd

        return {name: value for name, value in self.pandas.items() if pd.get_option(name) != value}


def _changed_pandas_options() -> dict[str, Any]:
    import pandas as pd

    changed = {}
    for name in _PANDAS_OPTIONS:
        try:
            described = pd.describe_option(name, _print_desc=False) or ""
        except KeyError:  # this version has no such option
            continue
        values = _DEFAULT_AND_CURRENT.search(described)
        if values and values[1] != values[2]:
            changed[name] = pd.get_option(name)
    return changed
