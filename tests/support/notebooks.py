"""Notebooks of this project, executed from top to bottom in a kernel of their own."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import forked_programs
import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT
from stores import new_store

CELL_SECONDS = 150

# Run as the kernel starts: what a cell starts as a module of this Python's is forked, and so are joblib's workers, as
# soon as a cell has imported us: what joblib's import warns of is of the next cell's outputs.
STARTUP = """
import sys
sys.executable = {python!r}

def fork_workers(_):
    if "metamodel" in sys.modules:
        __import__("forked_workers").fork_workers()
        shell.events.unregister("pre_run_cell", fork_workers)

shell = get_ipython()
shell.events.register("pre_run_cell", fork_workers)
"""

FOLDER = ROOT / "notebooks"


def executed(name: str, home: Path, *checks: str, forked: bool = False, processes: int | None = None) -> Any:
    """Execute a notebook and cells that check what it left behind; nothing of it is written outside `home`.

    Parameters
    ----------
    name
        Its file.
    home
        An empty directory.
    checks
        Further cells, in the same kernel.
    forked
        Whether the kernel is forked from a process that has imported the package; else it is a new Python's, which says
        what imports warn of.
    processes
        In how many it fits; None for as many as the machine has cores.
    """
    notebook = nbformat.read(FOLDER / name, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(check) for check in checks]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(home))
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(home / "artifacts"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        # Everything of the kernel's own lies in the temporary directory, too.
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home / "runtime"))
        if processes is not None:
            patch.setenv("LOKY_MAX_CPU_COUNT", str(processes))
        startup = home / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        python = forked_programs.python_that_forks(home / "bin")
        (startup / "executable.py").write_text(STARTUP.format(python=str(python)), encoding="utf-8")
        kernel = "python3"
        if forked:
            kernel = _forked_kernel(home / "jupyter")
            patch.setenv("JUPYTER_PATH", str(home / "jupyter"))
        resources = {"metadata": {"path": str(home)}}
        client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name=kernel, resources=resources)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return client.execute()
        finally:  # it leaves Python's own, also where the shell has told a command behind it to ignore them
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _forked_kernel(folder: Path) -> str:
    """Describe a kernel that the fork server forks; returns its name."""
    program = [sys.executable, "-S", forked_programs.__file__, "ipykernel_launcher", "-f", "{connection_file}"]
    described = folder / "kernels" / "forked" / "kernel.json"
    described.parent.mkdir(parents=True)
    described.write_text(
        json.dumps({"argv": program, "display_name": "Forked", "language": "python"}), encoding="utf-8"
    )
    return "forked"


def assert_quiet(notebook: Any) -> None:
    """All cells were executed, and none of them failed or warned."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert all(cell.execution_count for cell in code)
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if "Warning" in output.get("text", "")] == []


def printed(cell: Any) -> str:
    """What a cell wrote to stdout."""
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
