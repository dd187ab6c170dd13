"""Whether the children can be loaded where nothing is but the logged model: asked once, before it is logged.

Of children that are made of installed packages there is no question, and nothing is asked: a process takes seconds.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.model import MetaModel
from metamodel.common.group_status import TRAINED
from metamodel.common.temp_dirs import temporary_directory
from metamodel.fitting.content import has_callers_code
from metamodel.flavor.code_archive import write_code
from metamodel.flavor.environment import Environment
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["warn_of_missing_code"]

_PROGRAM = """
import json, sys
bundle, keys, folders = json.loads(sys.argv[1])
sys.path[:0], sys.path[len(sys.path):] = folders[:2], folders[2:]
from metamodel.bundle.reader import Bundle
from metamodel.tables.keys import decode_key
for key in keys:
    Bundle(bundle).read(decode_key(key))
"""

_PATIENCE_SECONDS = 120


def warn_of_missing_code(model: MetaModel, environment: Environment) -> None:
    """Load one child of each kind in a process of its own, without the caller's path; warn where that fails.

    Parameters
    ----------
    model
        The trained bundle.
    environment
        The code that goes with it, and the packages that are required.

    Warns
    -----
    UserWarning
        A child needs a module that neither travels with the model nor comes from a required package.
    """
    keys = [encode_key(key) for key in _one_of_each(model) if has_callers_code(model.bundle.read(key)[0][0])]
    if keys and (reason := _failure(model, keys, environment)):
        warnings.warn(
            f"The model cannot be loaded without this process's own modules ({reason}). Give their code, "
            "code_paths=[...] (--code-paths), or what to install, extra_pip_requirements=[...].",
            stacklevel=3,
        )


def _one_of_each(model: MetaModel) -> Iterator[GroupKey]:
    """Yield a group of every kind of estimator."""
    ledger = model.ledger
    kinds = ledger[ledger["status"].isin(TRAINED)].drop_duplicates(["estimator", "params"])
    yield from keys_of(kinds, model.manifest.keys)


def _failure(model: MetaModel, keys: list[str], environment: Environment) -> str:
    """Say what went wrong in the other process, or ""."""
    with temporary_directory("code") as directory:
        _, archive = write_code(directory)
        for path in environment.code_paths:
            (directory / path.name).symlink_to(path, target_is_directory=path.is_dir())
        folders = [str(archive), str(directory), *_places_of(environment.requirements(model.manifest))]
        asked = json.dumps([str(model.bundle.path.absolute()), keys, folders])
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, asked],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    return _reason(done.stderr) if done.returncode else ""


def _reason(trace: str) -> str:
    """Find what is missing under the errors that were raised because of it; else the last line."""
    missing = re.search(r"ModuleNotFoundError: (No module named .*)", trace)
    return missing[1] if missing else trace.strip().rpartition("\n")[2]


def _places_of(requirements: list[str]) -> list[str]:
    """Folders in which required packages are installed, wherever the caller has them."""
    places = {}
    for line in requirements:
        name = re.split(r"[\[<>=!~;@ ]", line, maxsplit=1)[0]
        try:
            places[str(importlib.metadata.distribution(name).locate_file(""))] = name
        except importlib.metadata.PackageNotFoundError:  # an index has it, though this machine has not
            continue
    return list(places)
