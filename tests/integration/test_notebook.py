"""The quickstart notebook: it runs from top to bottom, and what it serves is what the model predicts in process."""

import base64
import json
import os
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
CELL_SECONDS = 150

# Runs behind the notebook's own cells, in the same kernel.
CHECK = """
import json
local = model.predict(batch)
print(json.dumps({
    "served": answer,
    "local": json.loads(local.to_json(orient="records", double_precision=15)),
    "server_ended": server.poll() is not None,
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its outputs; nothing of it is written outside the temporary directory."""
    home = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(home / "artifacts"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        # Everything of the kernel's own lies in the temporary directory, too.
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home / "runtime"))
        client = NotebookClient(
            notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(home)}}
        )
        return client.execute()


@pytest.mark.slow
@pytest.mark.server
def test_no_cell_fails_or_warns(executed: Any) -> None:
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]

    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if "Warning" in output.get("text", "")] == []


@pytest.mark.slow
@pytest.mark.server
def test_server_answers_what_the_model_predicts_in_process(executed: Any) -> None:
    facts = json.loads("".join(output.text for output in executed.cells[-1].outputs if output.name == "stdout"))

    served = [row["prediction"] for row in facts["served"]]
    local = [row["prediction"] for row in facts["local"]]
    assert [row["status"] for row in facts["served"]] == ["child", "parent:1", "invalid_key"]
    assert [row["status"] for row in facts["local"]] == ["child", "parent:1", "invalid_key"]
    assert served[:2] == pytest.approx(local[:2], rel=1e-12)
    assert served[2] is local[2] is None
    assert facts["server_ended"]


@pytest.mark.slow
@pytest.mark.server
def test_scatter_plot_is_drawn(executed: Any) -> None:
    images = [
        base64.b64decode(output.data["image/png"])
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]

    assert len(images) == 1
    assert images[0].startswith(b"\x89PNG")


def test_notebook_is_stored_without_outputs_and_without_traces_of_a_machine() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in notebook.cells)
