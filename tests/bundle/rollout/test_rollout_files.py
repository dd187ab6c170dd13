"""A roll-out's directory proves what it says, and is copied with another description without a byte of its models."""

import hashlib
import json
from pathlib import Path

import pytest
from bundles import flip
from rolled_out import rolled_out, two_models

from metamodel.bundle.rollout.rollout_files import copy_rollout, read_rollout
from metamodel.exceptions import UnreadableBundle
from metamodel.prediction.rollout.rollout_plan import Rollout


def test_a_copy_with_another_fraction_has_the_same_models(tmp_path: Path) -> None:
    opened = rolled_out(tmp_path, *two_models(tmp_path), mode="ab", fraction=0.1, entity="customer:string", salt="s")
    copy_rollout(opened.path, opened.rollout.with_fraction(0.5), tmp_path / "copy")
    before, after = read_rollout(opened.path), read_rollout(tmp_path / "copy")
    assert after.rollout == opened.rollout.with_fraction(0.5)
    assert (after.champion, after.challenger, after.overlaid) == (before.champion, before.challenger, before.overlaid)
    assert after.digest != before.digest
    for file in opened.path.rglob("*"):
        if file.is_file() and file.parent != opened.path:
            assert (tmp_path / "copy" / file.relative_to(opened.path)).samefile(file)


def test_a_description_that_was_changed_is_refused(tmp_path: Path) -> None:
    opened = rolled_out(tmp_path, *two_models(tmp_path))
    flip(opened.path / "rollout.json", 40)
    with pytest.raises(UnreadableBundle, match="is not what was written"):
        read_rollout(opened.path)


def test_a_description_of_a_later_format_is_refused(tmp_path: Path) -> None:
    opened = rolled_out(tmp_path, *two_models(tmp_path))
    described = json.loads((opened.path / "rollout.json").read_text())
    _describe(opened.path, json.dumps({**described, "format_version": 2}))
    with pytest.raises(UnreadableBundle, match="format version 2; this release reads 1"):
        read_rollout(opened.path)


def _describe(place: Path, text: str) -> None:
    """Write a description that its digest proves."""
    content = text.encode()
    (place / "rollout.json").write_bytes(content)
    (place / "rollout.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  rollout.json\n")


PLAN = Rollout.of("customer", mode="ab").to_dict()

DESCRIBED = {"format_version": 1, "rollout": PLAN, "champion": "a", "challenger": "b", "overlaid": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"overlaid": "no"},
        {"champion": 5},
        {"format_version": True},
        {"rollout": {**PLAN, "fraction": float("nan")}},
        {"rollout": {**PLAN, "patience": float("inf")}},
        {"rollout": {**PLAN, "patience": 10**400}},
        {"rollout": {**PLAN, "entity": [{"name": 1, "kind": None}]}},
        {"rollout": {**PLAN, "entity": [{"name": "customer", "kind": "colour"}]}},
        {"rollout": {**PLAN, "entity": PLAN["entity"] * 2}},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_description_that_cannot_be_meant_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    _describe(tmp_path, json.dumps(DESCRIBED))
    assert read_rollout(tmp_path).overlaid
    _describe(tmp_path, json.dumps({**DESCRIBED, **changes}))
    with pytest.raises(UnreadableBundle, match=r"rollout\.json (cannot be read|has format version)"):
        read_rollout(tmp_path)


@pytest.mark.parametrize(
    "text", [json.dumps(DESCRIBED)[:-1] + ', "champion": "c"}', "[" * 100_000], ids=["twice", "deep"]
)
def test_a_description_that_says_a_thing_twice_or_has_no_end_is_refused(tmp_path: Path, text: str) -> None:
    _describe(tmp_path, text)
    with pytest.raises(UnreadableBundle, match=r"stands twice|nests too deeply"):
        read_rollout(tmp_path)
