"""What is missing, and a command that brings it: metamodel itself may be on no package index."""

import configparser
import re
import sys

import pytest
from places import ROOT

from metamodel.common.extras import EXTRAS, import_extra, install_command, require_extra
from metamodel.exceptions import InputError


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!;\[ ]", requirement)[0].lower()


def test_every_extra_of_the_package_brings_what_the_messages_tell_to_install():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = {
        extra: {name_of(line) for line in text.splitlines() if line and not line.startswith("#")}
        for extra, text in setup["options.extras_require"].items()
        if extra not in ("bench", "dev")
    }
    assert {extra: {name_of(package) for package in packages} for extra, packages in EXTRAS.items()} == declared


@pytest.mark.parametrize("extra", EXTRAS)
def test_no_command_names_a_package_that_is_on_no_index(extra):
    assert "metamodel[" not in install_command(extra)


def test_what_the_index_lacks_is_named_nowhere():
    texts = [*(ROOT / "metamodel").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    assert [path for path in texts if "install 'metamodel[" in path.read_text(encoding="utf-8")] == []


def test_all_missing_packages_are_named_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "orjson", None)
    message = (
        r"^metamodel serve needs uvicorn, orjson, which are not installed\. Run: pip install fastapi starlette uvicorn "
    )
    with pytest.raises(InputError, match=message):
        require_extra("serve", "metamodel serve", "click", "uvicorn", "orjson")


def test_a_broken_package_is_told_apart_from_a_missing_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(InputError, match=r"codec='skops' needs skops\.io, which fails \(.*\)\. Run: pip install skops"):
        import_extra("skops", "codec='skops'", "skops.io")
