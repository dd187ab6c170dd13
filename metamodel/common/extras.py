"""Packages that only some options need: what is missing, and the command that brings it."""

import shlex
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from metamodel.common.fork_lock import not_during_fork
from metamodel.exceptions import InputError

__all__ = ["EXTRAS", "import_extra", "install_command", "require_extra"]

# Extra of setup.cfg → what to ask pip for; without lower bounds, because pip takes the newest.
EXTRAS = {
    "delta": ("deltalake",),
    "fast": ("numba",),
    "serve": ("fastapi", "starlette", "uvicorn", "orjson", "prometheus_client", "uvloop", "httptools"),
    "skops": ("skops",),
    "spark": ("pyspark[connect]", "pandas<3"),
    "tuning": ("optuna", "pyyaml"),
    "xgboost": ("xgboost",),
}


def install_command(extra: str) -> str:
    """Write the command that installs what an extra brings; metamodel itself may be on no package index.

    Examples
    --------
    >>> install_command("spark")
    "pip install 'pyspark[connect]' 'pandas<3' (in a clone of metamodel: pip install '.[spark]')"
    """
    packages = " ".join(map(shlex.quote, EXTRAS[extra]))
    return f"pip install {packages} (in a clone of metamodel: pip install '.[{extra}]')"


def require_extra(extra: str, what: str, *modules: str) -> None:
    """Insist on packages before they are imported.

    Parameters
    ----------
    extra
        The extra of setup.cfg that brings them.
    what
        What needs them, as it should stand in the message.
    modules
        What is imported of them.

    Raises
    ------
    InputError
        One of them is not installed.

    Examples
    --------
    >>> require_extra("tuning", "tune", "no_such_package")
    Traceback (most recent call last):
    metamodel.exceptions.InputError: tune needs no_such_package, which is not installed. \
Run: pip install optuna pyyaml (in a clone of metamodel: pip install '.[tuning]').
    """
    if missing := [module for module in modules if find_spec(module) is None]:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{what} needs {', '.join(missing)}, which {verb} not installed. Run: {install_command(extra)}."
        )


def import_extra(extra: str, what: str, module: str) -> ModuleType:
    """Import a package of an extra.

    Raises
    ------
    InputError
        It is not installed, or its installation is broken.
    """
    require_extra(extra, what, module.partition(".")[0])
    try:
        with not_during_fork():
            return import_module(module)
    except ImportError as error:
        raise InputError(f"{what} needs {module}, which fails ({error}). Run: {install_command(extra)}.") from error
