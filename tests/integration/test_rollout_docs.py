"""The canary of the documentation, run as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import forked_programs
import pytest
from places import ROOT
from stores import new_store

_BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


@pytest.mark.tableless
@pytest.mark.timeout(900)  # two minutes on a machine that does nothing else; its blocks have limits of their own
def test_the_canary_goes_from_one_percent_to_all_by_the_commands_of_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "rollouts.md").read_text(encoding="utf-8")
    section = page.partition("## A canary from 1 % to 100 %")[2].partition("\n## ")[0]
    blocks = _BLOCK.findall(section)
    assert [kind for kind, _ in blocks] == ["python", "sh", "sh", "sh", "sh"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": new_store(tmp_path)}
    said = ""
    for kind, text in blocks:
        if kind == "python":
            done = forked_programs.run("-c", text, cwd=tmp_path, env=env, timeout=500)
        else:
            program = text.replace("metamodel ", f"{sys.executable} {forked_programs.__file__} metamodel ")
            command = ["bash", "-euc", program]
            done = subprocess.run(
                command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False
            )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert "sales 3: canary of 0.01 of the units" in said
    assert "the split was sound" in said
    assert "sales 2 is champion now, which replaces version 5." in said
    assert (tmp_path / "compared" / "variants.html").is_file()
