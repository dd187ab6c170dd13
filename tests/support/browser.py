"""Pages opened in a real browser, headless Chromium, and what a script in them found."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

__all__ = ["IN_BROWSER", "found_in"]

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    *["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
]

# What a file marks its tests with.
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.tableless,
    pytest.mark.skipif(_CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]


def found_in(page: Path, *options: str) -> Any:
    """Open a page; returns what a script of it left as JSON in an element's `data-found`."""
    command = [str(_CHROMIUM), *_FLAGS, f"--user-data-dir={page.parent / 'profile'}", *options, "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.findall('data-found="([^"]*)"', done.stdout)
    assert len(found) == 1, done.stderr[-2000:]
    return json.loads(html.unescape(found[0]))
