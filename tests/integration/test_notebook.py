"""The notebooks: they run from top to bottom, and what they say is so."""

import base64
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks import FOLDER, assert_quiet, executed, printed

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


# The same for the weeks: what the last cells say, as facts.
WEEKS = """
import json
versions, events = metamodel.versions("weekly-sales").table, metamodel.versions("weekly-sales").events
print(json.dumps({
    "incidents": [blocked, len(watched.incidents)],
    "replaced": (children["decision"] == "replaced").groupby(children["country"]).mean().to_dict(),
    "gates": versions["gate"].tolist(),
    "events": events["kind"].tolist(),
    "worse": [worse[0], int(worse[1])],
    "rollback": [bool(is_back), bool(unchanged)],
}))
"""


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return executed("quickstart.ipynb", tmp_path_factory.mktemp("quickstart"), CHECK)


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> Any:
    # The quickstart has started processes that fit; to start them again takes longer than to fit here.
    return executed("weekly.ipynb", tmp_path_factory.mktemp("weekly"), WEEKS, forked=True, processes=1)


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("name", ["quickstart", "weekly"])
def test_no_cell_fails_or_warns(name: str, request: pytest.FixtureRequest) -> None:
    assert_quiet(request.getfixturevalue(name))


@pytest.mark.slow
def test_the_weeks_go_as_the_notebook_tells(weekly: Any) -> None:
    facts = json.loads(printed(weekly.cells[-1]))

    assert facts["incidents"] == [True, 0]
    assert [country for country, share in facts["replaced"].items() if share == 1] == ["DE"]
    assert facts["gates"] == ["", "passed", "passed", ""]
    assert facts["events"] == ["rollback", "promote", "promote"]
    assert facts["worse"] == ["FR", 7]
    assert facts["rollback"] == [True, True]


@pytest.mark.slow
@pytest.mark.server
def test_server_answers_what_the_model_predicts_in_process(quickstart: Any) -> None:
    facts = json.loads(printed(quickstart.cells[-1]))

    served = [row["prediction"] for row in facts["served"]]
    local = [row["prediction"] for row in facts["local"]]
    assert [row["status"] for row in facts["served"]] == ["child", "parent:1", "invalid_key"]
    assert [row["status"] for row in facts["local"]] == ["child", "parent:1", "invalid_key"]
    assert served[:2] == pytest.approx(local[:2], rel=1e-12)
    assert served[2] is local[2] is None
    assert facts["server_ended"]


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("name", ["quickstart", "weekly"])
def test_scatter_plot_is_drawn(name: str, request: pytest.FixtureRequest) -> None:
    images = [
        base64.b64decode(output.data["image/png"])
        for cell in request.getfixturevalue(name).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]

    assert len(images) == 1
    assert images[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs_and_without_traces_of_a_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in notebook.cells)
