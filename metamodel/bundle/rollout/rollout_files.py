"""A roll-out on disk: ``rollout.json``, the champion's bundle as it was, and the challenger's overlay, or bundle.

The description names the digests of both bundles, and its own digest, which is the roll-out's, stands beside it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from metamodel.bundle.carry.carried_shards import link_file
from metamodel.bundle.manifest import MANIFEST_NAME
from metamodel.bundle.reader import Bundle
from metamodel.bundle.rollout.overlay import copy_bundle, write_overlay
from metamodel.common.messages import short
from metamodel.common.option import read_settings
from metamodel.common.whole_files import whole_directory
from metamodel.exceptions import MetaModelError, UnreadableBundle
from metamodel.prediction.rollout.rollout_plan import Rollout

__all__ = [
    "CHALLENGER_DIR",
    "CHAMPION_DIR",
    "ROLLOUT_NAME",
    "Described",
    "copy_rollout",
    "holds_model",
    "read_rollout",
    "write_rollout",
]

ROLLOUT_NAME = "rollout.json"

ROLLOUT_DIGEST_NAME = "rollout.sha256"

CHAMPION_DIR, CHALLENGER_DIR = "champion", "challenger"

_FORMAT_VERSION = 1


class Described:
    """What a roll-out's directory says of itself.

    Attributes
    ----------
    rollout
        Mode, fraction, units.
    champion, challenger
        Digests of both bundles.
    overlaid
        Whether the challenger's is an overlay over the champion's.
    digest
        Of the roll-out.
    """

    def __init__(self, described: dict[str, Any], digest: str) -> None:
        kinds = {"champion": str, "challenger": str, "overlaid": bool}
        if odd := [name for name, kind in kinds.items() if type(described[name]) is not kind]:
            raise TypeError(f"{odd[0]} is {short(described[odd[0]])}")
        self.rollout = Rollout.from_dict(described["rollout"])
        self.champion: str = described["champion"]
        self.challenger: str = described["challenger"]
        self.overlaid: bool = described["overlaid"]
        self.digest = digest


def holds_model(path: Path) -> bool:
    """Whether a directory is a bundle, or a roll-out."""
    return (path / MANIFEST_NAME).is_file() or (path / ROLLOUT_NAME).is_file()


def write_rollout(champion: Bundle, challenger: Bundle, rollout: Rollout, path: Path) -> int:
    """Write a roll-out into a new directory.

    Parameters
    ----------
    champion, challenger
        Both models' bundles. Where one refers to children elsewhere, the challenger's is taken as it is.
    rollout
        What to do with them.
    path
        The directory.

    Returns
    -------
    int
        Number of groups that the challenger has otherwise; -1 where its bundle is there as it is.
    """
    overlaid = champion.manifest.references is None and challenger.manifest.references is None
    differing = -1
    with whole_directory(path) as directory:
        copy_bundle(champion, directory / CHAMPION_DIR)
        if overlaid:
            differing = write_overlay(champion, challenger, directory / CHALLENGER_DIR)
        else:
            copy_bundle(challenger, directory / CHALLENGER_DIR)
        challengers = Bundle(directory / CHALLENGER_DIR).digest
        _describe(directory, rollout, champion.digest, challengers, overlaid=overlaid)
    return differing


def copy_rollout(place: Path, rollout: Rollout, path: Path) -> None:
    """Write the same two models with another description into a new directory; files get a second name."""
    described = read_rollout(place)
    with whole_directory(path) as directory:
        for folder in (CHAMPION_DIR, CHALLENGER_DIR):
            for file in sorted((place / folder).rglob("*")):
                if file.is_file():
                    link_file(file, directory / file.relative_to(place))
        _describe(directory, rollout, described.champion, described.challenger, overlaid=described.overlaid)


def _describe(directory: Path, rollout: Rollout, champion: str, challenger: str, *, overlaid: bool) -> None:
    described = {
        "format_version": _FORMAT_VERSION,
        "rollout": rollout.to_dict(),
        "champion": champion,
        "challenger": challenger,
        "overlaid": overlaid,
    }
    content = json.dumps(described, indent=2, ensure_ascii=False).encode()
    line = f"{hashlib.sha256(content).hexdigest()}  {ROLLOUT_NAME}\n"
    (directory / ROLLOUT_DIGEST_NAME).write_text(line, encoding="utf-8")
    (directory / ROLLOUT_NAME).write_bytes(content)


def read_rollout(path: Path) -> Described:
    """Read what a roll-out says of itself.

    Raises
    ------
    UnreadableBundle
        It is not what was written, or of another format.
    """
    try:
        content, recorded = (path / ROLLOUT_NAME).read_bytes(), (path / ROLLOUT_DIGEST_NAME).read_text("utf-8")
        digest = hashlib.sha256(content).hexdigest()
        if recorded.partition(" ")[0] != digest:
            raise UnreadableBundle(f"{path / ROLLOUT_NAME} is not what was written. Restore it.")
        described = read_settings(content.decode(), is_json=True)
        if type(described["format_version"]) is not int or described["format_version"] != _FORMAT_VERSION:
            raise UnreadableBundle(
                f"{path / ROLLOUT_NAME} has format version {described['format_version']!r}; this release reads "
                f"{_FORMAT_VERSION}. Open it with the release that wrote it."
            )
        return Described(described, digest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableBundle(f"{path / ROLLOUT_NAME} cannot be read ({error!r}). Restore it.") from error
    except UnreadableBundle:
        raise
    except MetaModelError as error:
        raise UnreadableBundle(f"{path / ROLLOUT_NAME} describes no roll-out: {error}") from error
