"""Programs that the fork server forks are processes like any other."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import fork_server
import forked_programs
import pytest
from forked_programs import Imported
from places import IMPORTS

from metamodel.flavor.code_archive import write_code

pytestmark = pytest.mark.tableless

# Says how it is, in place of the module.
_TELL = """
import atexit, json, os, sys
atexit.register(print, "the end", file=sys.stderr)
told = {"argv": sys.argv, "directory": os.getcwd(), "path": sys.path[:3], "one": os.environ.get("ONE")}
told |= {"process": os.getpid(), "group": os.getpgid(0), "files": sorted(map(int, os.listdir("/proc/self/fd")))}
print(json.dumps(told))
sys.exit(7)
"""


def test_a_program_has_its_own_arguments_environment_directory_and_streams(tmp_path: Path) -> None:
    environment = {**os.environ, "ONE": "ünö"}
    done = forked_programs.run("metamodel", "x", "", cwd=tmp_path, env=environment, before=_TELL)

    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (7, "the end\n")
    assert told["argv"] == ["metamodel", "x", ""]
    assert (told["directory"], told["one"]) == (str(tmp_path), "ünö")
    assert os.pathsep.join(told["path"]) == os.pathsep.join([str(tmp_path), IMPORTS])
    assert told["process"] == told["group"] != os.getpgid(0)


def test_a_program_text_has_its_arguments_and_the_temporary_directory_of_its_environment(tmp_path: Path) -> None:
    program = "import sys, tempfile\nprint(__name__, *sys.argv[1:], tempfile.gettempdir())\nsys.exit(3)"
    done = forked_programs.run("program_text", program, "a", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (3, f"__main__ a {tmp_path}\n", "")


# Says what a new Python says of itself, and what it finds imported.
_OF_A_NEW_PYTHON = """
import json, sys
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "metamodel")
print(json.dumps([__name__, sys.argv, sys.path, ours]))
import metamodel.cli
sys.exit(4)
"""


@pytest.mark.parametrize(("imported", "option"), [("others", "-s"), ("isolated", "-I")])
def test_without_the_checkouts_modules_a_program_finds_what_a_new_python_finds(
    imported: Imported, option: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), IMPORTS])}
    command = [sys.executable, option, "-c", _OF_A_NEW_PYTHON, "a", ""]
    real = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    forked = forked_programs.run("-c", *command[3:], cwd=tmp_path, env=environment, imported=imported)
    assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)
    assert forked.returncode == 4
    assert json.loads(forked.stdout)[3] == []


def test_an_archive_is_imported_whose_sources_are_known_and_one_that_is_another(tmp_path: Path) -> None:
    _, archive = write_code(tmp_path)
    tell = "from metamodel.common import messages\nprint(messages.__name__, messages.count.__code__.co_filename)"
    path = tmp_path / "another.zip"
    with zipfile.ZipFile(archive) as known, zipfile.ZipFile(path, "w") as another:
        for name in known.namelist():
            added = b"\n__name__ = 'another'" if name == "metamodel/common/messages.py" else b""
            another.writestr(name, known.read(name) + added)
    for place, said in ((archive, "metamodel.common.messages"), (path, "another")):
        environment = {**os.environ, "PYTHONPATH": str(place)}
        done = forked_programs.run("-c", tell, cwd=tmp_path, env=environment, imported="others")
        assert (done.stdout, done.stderr) == (f"{said} {place}/metamodel/common/messages.py\n", "")


def test_a_program_has_no_files_of_the_server_and_of_its_other_children() -> None:
    other = forked_programs.start("metamodel", before="import time\ntime.sleep(600)")
    try:
        done = forked_programs.run("metamodel", before=_TELL)
        again = forked_programs.run("metamodel", before=_TELL)
    finally:
        other.kill()
    assert json.loads(done.stdout)["files"] == json.loads(again.stdout)["files"]
    assert other.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("arguments", [["--version"], ["inspect", "nothing"], ["no-command"], []])
def test_a_command_says_what_a_new_process_of_it_says(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "metamodel", *arguments]
    real = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    forked = forked_programs.run("metamodel", *arguments, cwd=tmp_path)
    assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)


def test_signals_reach_a_program_and_its_end_is_told(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    for number in (signal.SIGTERM, signal.SIGKILL):
        wait = f"import signal\nopen({str(ready)!r}, 'w').close()\nsignal.pause()"
        program = forked_programs.start("metamodel", before=wait)
        ready.read_bytes()
        assert program.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.01)
        program.send_signal(number)
        assert program.wait(60) == program.poll() == -number


_IMPORTED: tuple[Imported, ...] = ("all", "others")

# Ways in which programs end, each of them with something that is still to be written.
_ENDS = {
    "at its last line": "",
    "with a code": "sys.exit(300)",
    "with a text": "sys.exit('no such thing')",
    "with nothing": "sys.exit()",
    "with an error": "sys.stdout.flush()\n1 / 0",
    "without its output": "os.close(1)",
}


@pytest.mark.parametrize("imported", _IMPORTED)
@pytest.mark.parametrize("end", _ENDS.values(), ids=_ENDS)
def test_a_program_ends_as_a_new_python_ends(end: str, imported: Imported, tmp_path: Path) -> None:
    lines = [
        "import atexit, os, sys, threading, time",
        "atexit.register(print, 'the end')",
        "threading.Thread(target=lambda: (time.sleep(0.1), print('a thread'))).start()",
        "print('begun')",
        end,
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    real = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    forked = forked_programs.run(*command[1:], cwd=tmp_path, imported=imported)
    assert (forked.returncode, forked.stdout) == (real.returncode, real.stdout)
    # Where it is an error, the lines that led there are others.
    assert forked.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]


@pytest.mark.parametrize("imported", _IMPORTED)
def test_a_program_has_the_flags_of_a_new_python(imported: Imported) -> None:
    tell = "import sys\nprint(sys.flags)"
    real = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, timeout=120, check=True)
    assert forked_programs.run("-c", tell, imported=imported).stdout == real.stdout


# Fork servers that import next to nothing.
_QUICK_SERVERS = """
import fork_server, numpy
fork_server.import_all = fork_server.import_others = lambda: None
fork_server.main()
"""


def test_fork_servers_end_with_whoever_started_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "servers.py").write_text(_QUICK_SERVERS)
    monkeypatch.setattr(fork_server, "__file__", str(tmp_path / "servers.py"))
    monkeypatch.setenv(forked_programs._PLACE, "")  # to be put back
    tell = "import os\nprint(os.getppid())"
    with forked_programs.forking():
        servers = {int(forked_programs.run("-c", tell, imported=imported).stdout) for imported in _IMPORTED}
        assert all(Path(f"/proc/{process}").exists() for process in servers)
    assert len(servers) == 2
    assert not any(Path(f"/proc/{process}").exists() for process in servers)


def test_children_draw_different_numbers() -> None:
    draw = "import numpy as np, random\nprint(np.random.rand(), random.random())\nraise SystemExit"
    first, second = (forked_programs.run("metamodel", before=draw).stdout.split() for _ in range(2))
    assert not set(first) & set(second)


def test_what_python_reads_at_its_start_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.exit(5)")
    done = forked_programs.run("metamodel", env={**os.environ, "PYTHONPATH": str(tmp_path)}, before="import sys")
    assert done.returncode != 0
    assert "sitecustomize" in done.stderr


def test_a_shell_has_the_streams_and_the_code_of_a_program() -> None:
    command = [sys.executable, "-S", forked_programs.__file__, "metamodel", "no-command"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'no-command'" in done.stderr


def test_what_ends_the_program_of_a_shell_ends_that_program(tmp_path: Path) -> None:
    os.mkfifo(ready := tmp_path / "ready")
    python = forked_programs.python_that_forks(tmp_path / "bin")
    wait = f"import os, signal\nopen({str(ready)!r}, 'w').write(str(os.getpid()))\nsignal.pause()"
    shell = subprocess.Popen([python, "-m", "program_text", wait], env={**os.environ})
    process = int(ready.read_text())
    assert process != shell.pid
    shell.terminate()
    assert shell.wait(60) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{process}").exists()


def test_a_python_that_forks_is_called_by_its_name_and_is_a_new_one_but_for_modules(tmp_path: Path) -> None:
    forked_programs.python_that_forks(tmp_path / "bin")
    env = {**os.environ, "PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])}
    text = "import sys; print(sys.argv[1:], 'metamodel.cli' in sys.modules)"
    said = []
    for words in (["-c", text, "a b"], ["-m", "program_text", text, "a b"]):
        done = subprocess.run(["python", *words], env=env, capture_output=True, text=True, timeout=120, check=True)
        said.append(done.stdout)
    assert said == ["['a b'] False\n", "['a b'] True\n"]
