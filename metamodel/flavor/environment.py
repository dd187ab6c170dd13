"""What a logged model needs beside metamodel's own code and packages: the callers' code, and packages they name."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from metamodel.bundle.manifest import Manifest
from metamodel.bundle.model import MetaModel
from metamodel.common.messages import listing, short
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.flavor.code_archive import ARCHIVE_NAME
from metamodel.flavor.remote.mlmodel import inside, read_mlmodel, recorded
from metamodel.flavor.requirements import requirements

__all__ = ["CODE_DIR", "Environment", "recorded_environment"]

# Where MLflow puts the code that travels with a model.
CODE_DIR = "code"

# A requirement's own commas stand in its brackets, or before another bound: "shap[plots,others]>=0.4,<0.5".
_BETWEEN_REQUIREMENTS = re.compile(r",\s*(?![^\[]*\])(?=[A-Za-z])")

_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Environment:
    """What is logged with a model so that it can be loaded elsewhere.

    Parameters
    ----------
    code_paths
        Files and folders that go with the model and can be imported where it is loaded.
    pip_requirements
        The whole list of requirements, in place of what the children's code asks for.
    extra_pip_requirements
        Requirements beside those; one of the same package replaces ours.

    Raises
    ------
    InputError
        A path that is not there, two of one name, or both lists.
    """

    code_paths: tuple[Path, ...] = ()
    pip_requirements: tuple[str, ...] = ()
    extra_pip_requirements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [path.name for path in self.code_paths]
        if missing := [str(path) for path in self.code_paths if not path.exists()]:
            raise InputError(f"code_paths names {listing(missing)}, which is not there. Give files and folders.")
        if twice := sorted({name for name in names if names.count(name) > 1 or name in ("metamodel", ARCHIVE_NAME)}):
            raise InputError(f"code_paths has {listing(twice)} twice; metamodel's own code travels too. Rename one.")
        if self.pip_requirements and self.extra_pip_requirements:
            raise InputError(
                "pip_requirements is the whole list, and extra_pip_requirements goes beside the usual one. "
                "Give one of them."
            )

    @classmethod
    def of(
        cls,
        code_paths: Sequence[str | Path] | str | Path | None,
        pip_requirements: Sequence[str] | str | None,
        extra_pip_requirements: Sequence[str] | str | None,
    ) -> Self:
        """Take what a caller gives: one value, several, or on the command line several with commas between them."""
        paths = [code_paths] if isinstance(code_paths, str | Path) else code_paths or ()
        return cls(
            tuple(Path(path).resolve() for path in paths),
            _lines("pip_requirements", pip_requirements),
            _lines("extra_pip_requirements", extra_pip_requirements),
        )

    def requirements(self, manifest: Manifest) -> list[str]:
        """List what `pip install` is told where the model is loaded."""
        if self.pip_requirements:
            return list(self.pip_requirements)
        named = {_distribution(line) for line in self.extra_pip_requirements}
        usual = [line for line in requirements(manifest) if _distribution(line) not in named]
        return [*usual, *self.extra_pip_requirements]

    def code_files(self) -> list[tuple[Path, str]]:
        """List the files of the code, each with the folder of a logged model that it belongs into."""
        return [(file, folder) for path in self.code_paths for file, folder in _files_in(path)]

    def digest(self) -> str:
        """Digest of all that goes with a model; "" where that is nothing but the usual."""
        digest = hashlib.sha256(repr((self.pip_requirements, self.extra_pip_requirements)).encode())
        for file, folder in self.code_files():
            digest.update(f"\0{folder}/{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest() if self.options() else ""

    def options(self) -> dict[str, Any]:
        """Give what was asked, as options of a command."""
        given = {
            "code_paths": [str(path) for path in self.code_paths],
            "pip_requirements": list(self.pip_requirements),
            "extra_pip_requirements": list(self.extra_pip_requirements),
        }
        return {name: values for name, values in given.items() if values}

    def noted(self) -> dict[str, Any]:
        """Note what has to be known to log the same model again."""
        options = self.options()
        if options.pop("code_paths", None):
            options["code"] = [path.name for path in self.code_paths]
        return options


def recorded_environment(model: MetaModel) -> Environment:
    """Find the environment that a model was logged with; of a bundle by itself there is none."""
    if model.logged is None:
        return Environment()
    noted = recorded(read_mlmodel(model.logged))
    return Environment(
        tuple(model.logged / CODE_DIR / inside(name) for name in noted.get("code", ())),
        tuple(noted.get("pip_requirements", ())),
        tuple(noted.get("extra_pip_requirements", ())),
    )


def _files_in(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a code path, without what Python compiles from them."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        inside_of_path = file.relative_to(path.parent)
        if file.is_file() and "__pycache__" not in inside_of_path.parts:
            yield file, PurePosixPath(CODE_DIR, *inside_of_path.parent.parts).as_posix()


def _lines(option: str, given: Sequence[str] | str | None) -> tuple[str, ...]:
    lines = _BETWEEN_REQUIREMENTS.split(given) if isinstance(given, str) else list(given or ())
    if wrong := [line for line in lines if not isinstance(line, str) or not _DISTRIBUTION.match(line.strip())]:
        raise InputError(f"{option} holds {short(wrong[0])}, which names no package. Give lines such as 'shap>=0.46'.")
    if any(redacted(line) != line for line in lines):
        raise InputError(
            f"{option} holds an address with credentials, which would be stored in the model for all to read. Leave "
            "them out, and give them to pip where the model is loaded (netrc, PIP_INDEX_URL, keyring)."
        )
    return tuple(line.strip() for line in lines)


def _distribution(line: str) -> str:
    """Name the package of a requirement, as an index spells it."""
    match = _DISTRIBUTION.match(line)
    return re.sub("[-_.]+", "-", match[0]).lower() if match else line
