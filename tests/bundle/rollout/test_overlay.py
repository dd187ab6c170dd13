"""An overlay holds what differs, and nothing else."""

from pathlib import Path

import pytest
from bundles import flip
from rolled_out import files, panel, rolled_out, trained, two_models

from metamodel.bundle.rollout.overlay import differing_groups, write_overlay
from metamodel.exceptions import CorruptBundle


def test_only_what_differs_is_in_the_overlay(tmp_path: Path) -> None:
    models = two_models(tmp_path)
    opened = rolled_out(tmp_path, *models, mode="ab", entity="customer")
    assert opened.challenger is not None
    assert sorted(opened.challenger.ledger["shop"].dropna()) == [0, 1, 2]
    assert [stack["children"] for stack in opened.challenger.manifest.stacks] == [3]
    champion = {path.relative_to(models[0].path): path.read_bytes() for path in files(models[0].path)}
    assert {path.relative_to(opened.bundle.path): path.read_bytes() for path in files(opened.bundle.path)} == champion


def test_groups_whose_numbers_alone_differ_are_in_the_overlay(tmp_path: Path) -> None:
    champion = trained(tmp_path / "a", panel(), interval=0.9)
    challenger = trained(tmp_path / "b", panel(), interval=0.8)
    assert differing_groups(champion.bundle, champion.bundle) == set()
    assert {f"[{shop}]" for shop in range(12)} <= differing_groups(champion.bundle, challenger.bundle)
    opened = rolled_out(tmp_path, champion, challenger, mode="ab", fraction=1.0, unit="group")
    assert opened.predict(panel())["upper"].equals(challenger.predict(panel())["upper"])


def test_groups_of_either_version_alone_differ(tmp_path: Path) -> None:
    table = panel()
    champion = trained(tmp_path / "a", table[table["shop"] < 10])
    challenger = trained(tmp_path / "b", table[table["shop"] > 3])
    alone = {f"[{shop}]" for shop in (0, 1, 2, 3, 10, 11)}
    assert differing_groups(champion.bundle, challenger.bundle) == alone
    assert write_overlay(champion.bundle, challenger.bundle, tmp_path / "overlay") == 6


def test_a_damaged_challenger_is_not_rolled_out(tmp_path: Path) -> None:
    champion, challenger = two_models(tmp_path, stack=False)
    shard = next(challenger.path.rglob("*.sqlite"))
    content = shard.read_bytes()
    for position in range(40_000, len(content), 997):
        flip(shard, position)
    with pytest.raises(CorruptBundle, match=r"The challenger's child of group .* is damaged"):
        write_overlay(champion.bundle, challenger.bundle, tmp_path / "overlay")
