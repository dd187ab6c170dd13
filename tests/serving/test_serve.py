"""What cannot be served is said in one line."""

import socket
import subprocess
from pathlib import Path

import forked_programs
import pytest

import metamodel

pytestmark = pytest.mark.tableless


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked_programs.run("metamodel", "serve", *arguments)


@pytest.mark.slow
@pytest.mark.tableless
def test_a_port_that_is_taken_and_a_model_that_is_none_are_one_line(tmp_path: Path, bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = _command(str(bundle), "--port", str(listening.getsockname()[1]))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Cannot listen on 127.0.0.1" in done.stderr
    done = _command(str(tmp_path / "nothing"), "--port", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "There is no model" in done.stderr


def test_without_the_extra_one_line_names_it(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from metamodel import serving

    monkeypatch.setattr(serving, "_NEEDED", ("orjson", "not_installed"))
    with pytest.raises(
        metamodel.exceptions.InputError, match=r"needs not_installed, which is not installed\. Run: .*'\.\[serve\]'"
    ):
        serving.serve(str(bundle))
