"""Pages opened in a real browser, headless Chromium, and what a script in them found.

To start a browser takes longer than to look at a page, so that all pages of a session are opened in one, each in a tab
of its own. It is asked through the pipe of its DevTools protocol (https://chromedevtools.github.io/devtools-protocol),
which no other process can reach, and ends when its standard input does: with whoever started it, at the latest.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

__all__ = ["IN_BROWSER", "Browser", "running_browser"]

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    *["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"],
]
_SECONDS = 120

# The protocol is spoken on descriptors 3 and 4; a shell puts there what was opened as standard input and output.
_ON_3_AND_4 = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null'

# What the page's script leaves as JSON in an element's `data-found`, as soon as it is there. Found twice is no answer.
_FOUND = """new Promise((found) => {
  const look = () => {
    const all = [...document.querySelectorAll("[data-found]")].map((element) => element.dataset.found);
    if (all.length) found(all);
  };
  new MutationObserver(look).observe(document, {attributes: true, childList: true, subtree: true});
  look();
})"""

# What a file marks its tests with.
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.tableless,
    pytest.mark.skipif(_CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]


class Browser:
    """A browser that runs, and the tabs that are opened in it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log
        self._numbers = itertools.count(1)
        self._read = b""

    def found_in(self, page: Path, width: int, height: int, picture: Path | None = None) -> Any:
        """Open a page; returns what a script of it left as JSON in an element's `data-found`.

        Where a picture is asked for it is written as PNG, of the page without bars to scroll it.
        """
        tab = self._ask("Target.createTarget", url="about:blank")["targetId"]
        session = self._ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", session, **size)
        self._ask("Emulation.setScrollbarsHidden", session, hidden=picture is not None)
        opened = self._ask("Page.navigate", session, url=page.as_uri())
        assert "errorText" not in opened, opened
        found = self._ask("Runtime.evaluate", session, expression=_FOUND, awaitPromise=True, returnByValue=True)
        if picture is not None:
            picture.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", session)["data"]))
        self._ask("Target.closeTarget", targetId=tab)
        (text,) = found["result"]["value"]
        return json.loads(text)

    def close(self) -> None:
        """Have it end, and wait for that."""
        self._ask("Browser.close")
        self._process.communicate(timeout=_SECONDS)

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number, sent = next(self._numbers), {"method": method, "params": params}
        message = sent | {"id": number} | ({"sessionId": session} if session else {})
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        deadline = time.monotonic() + _SECONDS
        while (answer := self._next_message(deadline)).get("id") != number:
            pass  # an event, of which nobody asked to be told
        assert "error" not in answer, (method, answer)
        return cast("dict[str, Any]", answer["result"])

    def _next_message(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            assert more, f"the browser {'ended' if ready else 'says nothing'}: {self._log.read_text()[-2000:]}"
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return cast("dict[str, Any]", json.loads(message))


@contextlib.contextmanager
def running_browser(directory: Path) -> Iterator[Browser]:
    """Start a browser that keeps its files in a directory, and end it with all its processes."""
    log = directory / "browser.log"
    command = ["sh", "-c", _ON_3_AND_4, str(_CHROMIUM), *_FLAGS, f"--user-data-dir={directory / 'profile'}"]
    pipe = subprocess.PIPE
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, start_new_session=True)
    browser = Browser(process, log)
    try:
        yield browser
        browser.close()
    finally:
        with contextlib.suppress(ProcessLookupError):  # as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
