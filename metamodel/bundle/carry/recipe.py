"""How a model was trained, so that the next training can be asked for in one line: the caller's own arguments.

``recipe.json`` holds what JSON can hold; what it cannot (an estimator object, unfitted) stands in it as base64 of the
bundle's codec, and is opened when the recipe is read, under the same rules as a child. It is one file, because each one
costs a request when the bundle is logged.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.manifest import read_proven
from metamodel.bundle.reader import Bundle
from metamodel.common.messages import error_text, listing
from metamodel.exceptions import InputError

__all__ = ["RECIPE_NAME", "read_recipe", "write_recipe"]

RECIPE_NAME = "recipe.json"


def write_recipe(directory: Path, arguments: Mapping[str, Any], codec_name: str) -> None:
    """Write a training's arguments into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    arguments
        By their names; None where an option was not used.
    codec_name
        What serializes those that are no plain values. One that it cannot serialize is named, and has to be given anew.
    """
    codec = get_codec(codec_name)
    plain: dict[str, Any] = {}
    objects: dict[str, str] = {}
    lost: dict[str, str] = {}
    for name, value in sorted(arguments.items()):
        if _is_plain(value):
            plain[name] = value
            continue
        try:
            blob = codec.dumps(value)
        except Exception as error:  # noqa: BLE001 - it may be anything, and the model is right without it
            lost[name] = error_text(error)
            continue
        objects[name] = base64.b64encode(blob).decode()
    described = {"arguments": plain, "objects": objects, "lost": lost}
    text = json.dumps(described, indent=2, ensure_ascii=False, sort_keys=True)
    (directory / RECIPE_NAME).write_text(text, encoding="utf-8")


def read_recipe(bundle: Bundle, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete some arguments by those that a model was trained with.

    Parameters
    ----------
    bundle
        The model's bundle.
    given
        What shall be otherwise.

    Raises
    ------
    InputError
        The bundle knows no recipe, or not all of it, and what is missing is not given.
    """
    files = bundle.manifest.files
    if RECIPE_NAME not in files:
        raise InputError(
            f"{bundle.path} does not say how it was trained. Use metamodel.train with previous and retrain."
        )
    described = json.loads(read_proven(bundle.path, RECIPE_NAME, files))
    if missing := [f"{name} ({error})" for name, error in described["lost"].items() if name not in given]:
        raise InputError(f"{bundle.path} could not keep {listing(missing)}. Give it again.")
    codec = get_codec(bundle.manifest.codec)
    stored = {name: base64.b64decode(text) for name, text in described["objects"].items() if name not in given}
    objects = {name: codec.loads(blob) for name, blob in stored.items()}
    return {**described["arguments"], **objects, **given}


def _is_plain(value: Any) -> bool:
    """Whether JSON gives back the very same value."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(held) for name, held in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, bool, int, float)
