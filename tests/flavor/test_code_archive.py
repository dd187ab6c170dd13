"""The package as one file, from which it can do all that it can do from a folder."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import forked_programs
import pandas as pd
import pytest

import metamodel
from metamodel.bundle.reader import Bundle
from metamodel.flavor import code_archive
from metamodel.flavor.code_archive import write_code
from metamodel.report import render_report

pytestmark = pytest.mark.tableless


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("code"))[1]


def _run(archive: Path, program: str, *arguments: object, cache: Path | None = None, anew: bool = False) -> Any:
    """Run a program where metamodel is nowhere but in the archive; returns what it prints, as JSON.

    Sets have their order in a Python that is started anew, and this process's, maybe, in one that is forked.
    """
    lines = f"import json, sys\nsys.path.insert(0, {str(archive)!r})\n{program}"
    env = {
        **os.environ,
        **({"XDG_CACHE_HOME": str(cache)} if cache else {}),
        **({"PYTHONHASHSEED": "1"} if anew else {}),
    }
    done = forked_programs.run("-c", lines, *map(str, arguments), env=env, timeout=300, imported="isolated")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_code_makes_the_same_bytes_whenever_it_is_written(archive: Path, tmp_path: Path) -> None:
    code_archive._packed.cache_clear()
    _, again = write_code(tmp_path)
    assert again.read_bytes() == archive.read_bytes()
    entries = zipfile.ZipFile(archive).infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_the_package_is_packed_once_a_process(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_archive, "_sources", lambda *_: pytest.fail("it was read again"))
    _, again = write_code(tmp_path)
    assert again.read_bytes() == archive.read_bytes()


def test_an_archive_writes_itself(archive: Path, tmp_path: Path) -> None:
    written = _run(
        archive,
        "from pathlib import Path\nfrom metamodel.flavor.code_archive import write_code\n"
        "print(json.dumps([str(path) for path in write_code(Path(sys.argv[1]))]))",
        tmp_path,
        anew=True,
    )
    loader, again = map(Path, written)
    assert again.read_bytes() == archive.read_bytes()
    assert "set_model" in loader.read_text(encoding="utf-8")


def test_the_report_is_the_same_out_of_an_archive(archive: Path) -> None:
    table = pd.DataFrame({"store": [1, 1, 2, 2], "x": [0.5, 1.5, 2.5, 3.5], "y": [1.0, 3.0, 5.0, 7.0]})
    bundle = metamodel.train(table, "store", "y", "ridge", holdout=0, n_jobs=1).bundle_path
    program = (
        "from metamodel.bundle.reader import Bundle\nfrom metamodel.report import render_report\n"
        "print(json.dumps(render_report(Bundle(sys.argv[1]))))"
    )
    assert _run(archive, program, bundle) == render_report(Bundle(bundle))


KERNEL = """
import metamodel.prediction.stacks.tree_kernel as kernel
assert ".zip" in kernel.__file__, kernel.__file__
print(json.dumps([sum(kernel.walk.stats.cache_hits.values()), len(kernel.walk.signatures)]))
"""


@pytest.mark.slow
def test_what_numba_compiled_for_one_copy_is_there_for_the_next(archive: Path, tmp_path: Path) -> None:
    copies = [tmp_path / name / "metamodel.zip" for name in ("one", "two")]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(archive.read_bytes())
    first, second = (_run(copy, KERNEL, cache=tmp_path / "cache") for copy in copies)
    assert (first[0], second[0]) == (0, second[1])
    assert second[1] == 3
    kept = [path.relative_to(tmp_path / "cache").parts[0] for path in (tmp_path / "cache").rglob("*.nbc")]
    assert set(kept) == {"metamodel"}  # and nothing that is named after a place that is gone


@pytest.mark.slow
def test_without_a_place_for_the_cache_it_compiles_all_the_same(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, and no folder", encoding="utf-8")
    assert _run(archive, KERNEL, cache=tmp_path / "cache") == [0, 3]
