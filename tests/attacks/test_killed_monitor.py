"""Twenty kills of `monitor` at points all over its way: no file of it is half-written, and the next one is right."""

import json
from pathlib import Path

import pandas as pd
import pytest
from killed_commands import kill_at_random, processes, run_whole, seconds
from monitored import SECOND, START, changed, monitored

import metamodel

KILLS = 20

# What `metamodel monitor --output --retrain-list` does.
_MONITOR = """
from metamodel.common.whole_files import whole_file
from pathlib import Path
result = metamodel.monitor({bundle!r}, {table!r}, output={output!r})
with whole_file(Path({output!r}) / 'list.parquet') as unfinished:
    result.retrain.to_parquet(unfinished, index=False)
"""

_READERS = {".parquet": pd.read_parquet, ".json": lambda path: json.loads(path.read_text(encoding="utf-8"))}


def _files(output: Path) -> list[Path]:
    """Name what has no hidden name, nor stands in a folder that has one: that is what nobody has finished."""
    paths = (path.relative_to(output) for path in output.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.parts))


def _check_whole(output: Path) -> None:
    for path in (output / name for name in _files(output)):
        if path.suffix in _READERS:
            _READERS[path.suffix](path)  # raises over half a file
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        else:
            assert path.name == "metrics.prom"
            assert path.read_text(encoding="utf-8").endswith("\n")


@pytest.mark.timeout(600)  # twenty processes on a busy machine
def test_a_killed_monitor_leaves_whole_files_and_the_next_says_what_an_undisturbed_one_says(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    bundle, store = str(monitored(output_dir=tmp_path / "bundle").bundle_path), f"sqlite:///{tmp_path / 'runs.db'}"
    windows = {start: str(tmp_path / f"{start}.parquet") for start in (START, SECOND)}
    for number, (start, path) in enumerate(windows.items()):
        changed(start, 50 + number).to_parquet(path, index=False)
    outputs = {name: tmp_path / name for name in ("undisturbed", "killed")}
    for output in outputs.values():
        metamodel.monitor(bundle, windows[START], output=output)
    programs = {
        name: _MONITOR.format(bundle=bundle, table=windows[SECOND], output=str(output))
        for name, output in outputs.items()
    }
    context = processes()
    whole = min(seconds(context, programs["undisturbed"], store, folder) for _ in range(2))
    killed = 0
    for was_killed in kill_at_random(context, programs["killed"], store, folder, KILLS, whole, latest=0.95):
        killed += was_killed
        _check_whole(outputs["killed"])
    assert killed >= KILLS / 2

    run_whole(programs["killed"], store, folder)

    assert [path.name for path in folder.iterdir() if "metamodel-" in path.name] == []
    assert list(outputs["killed"].rglob(".*")) == []
    names = {name: _files(output) for name, output in outputs.items()}
    assert names["killed"] == names["undisturbed"]
    assert Path("list.parquet") in names["killed"]
    for name in names["killed"]:
        ours, theirs = (outputs[side] / name for side in ("killed", "undisturbed"))
        assert ours.read_bytes() == theirs.read_bytes(), name
