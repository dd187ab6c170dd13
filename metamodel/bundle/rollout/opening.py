"""Open what a directory holds: a meta-model, or a roll-out of two."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamodel.bundle.model import MetaModel
from metamodel.bundle.references import ChildLoader
from metamodel.bundle.rollout.overlaid import OverlaidModel
from metamodel.bundle.rollout.rollout_files import CHALLENGER_DIR, CHAMPION_DIR, ROLLOUT_NAME, Described, read_rollout
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.byte_cache import ByteCache
from metamodel.common.messages import error_text
from metamodel.exceptions import UnreadableBundle

__all__ = ["open_model"]


def open_model(
    path: str | Path,
    cache: ByteCache | None = None,
    defaults: Mapping[str, Any] | None = None,
    loader: ChildLoader | None = None,
    logged: Path | None = None,
) -> MetaModel:
    """Open a bundle's directory, or a roll-out's; all as for `MetaModel`.

    A roll-out whose challenger cannot be opened answers by its champion alone, and says so in a warning.

    Raises
    ------
    UnreadableBundle
        There is neither, or the champion is not the one that was rolled out.
    """
    place = Path(path)
    if not (place / ROLLOUT_NAME).is_file():
        return MetaModel(place, cache, defaults, loader, logged)
    described = read_rollout(place)
    champion = MetaModel(place / CHAMPION_DIR, cache, defaults, loader, logged)
    if champion.digest != described.champion:
        raise UnreadableBundle(f"{place} holds another champion than the one that was rolled out. Restore it.")
    challenger = None
    try:
        challenger = _challenger(place / CHALLENGER_DIR, described, champion)
    except Exception as error:  # noqa: BLE001 - whatever it is, the champion can answer
        warnings.warn(
            f"The challenger of {place.name} cannot be opened, and the champion answers all rows: {error_text(error)}",
            RuntimeWarning,
            stacklevel=2,
        )
    return RolloutModel(champion, challenger, described.rollout, (place, described.digest))


def _challenger(path: Path, described: Described, champion: MetaModel) -> MetaModel:
    if described.overlaid:
        challenger: MetaModel = OverlaidModel(path, champion)
    else:
        challenger = MetaModel(path, champion.bundle._own_cache, champion._defaults, champion._loader)
    if challenger.digest != described.challenger:
        raise UnreadableBundle("it is not the one that was rolled out. Restore it.")
    return challenger
