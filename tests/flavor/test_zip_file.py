"""A packed model is one file; what is in it is looked at before anything is unpacked."""

import io
import ntpath
import os
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from registered_children import panel

import metamodel
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.exceptions import ChildUnavailable, InputError, MetaModelError, UnreadableBundle
from metamodel.flavor import zip_file as archives
from metamodel.flavor.remote.loader import ElsewhereLoader
from metamodel.flavor.zip_file import unpack, unpacked_for_good

MANIFEST = "artifacts/bundle/manifest.json"

pytestmark = pytest.mark.tableless


def _changed(packed: Path, target: Path, **files: bytes | None) -> Path:
    """Copy a packed model; files are replaced, added, or with None left out."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as sink:
        contents = {name: source.read(name) for name in source.namelist()} | files
        for name, content in contents.items():
            if content is not None:
                sink.writestr(name, content)
    return target


def test_what_was_packed_is_unpacked(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path)
    with zipfile.ZipFile(packed) as archive:
        found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
        assert found == set(archive.namelist())
        assert all((tmp_path / name).read_bytes() == archive.read(name) for name in found)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil", "C:evil", "a/"])
def test_a_name_that_leads_out_is_refused(packed: Path, tmp_path: Path, name: str) -> None:
    file = _changed(packed, tmp_path / "model.zip", **{name: b"evil"})
    (tmp_path / "inner").mkdir()
    with pytest.raises(InputError, match="it holds what is no file inside a model"):
        unpack(file, tmp_path / "inner")
    assert not list((tmp_path / "inner").iterdir())
    assert not (tmp_path / "evil").exists()


@given(st.text(alphabet="ab./\\: C\0", min_size=1, max_size=12))
def test_no_name_that_is_accepted_leads_out(name: str) -> None:
    entry = zipfile.ZipInfo(name)
    if archives._is_plain(entry):
        assert os.path.normpath(f"/models/sales/{entry.filename}").startswith("/models/sales")
        assert ntpath.normpath(ntpath.join("D:\\sales", entry.filename)).startswith("D:\\sales")


def test_a_link_is_refused(packed: Path, tmp_path: Path) -> None:
    file = _changed(packed, tmp_path / "model.zip")
    link = zipfile.ZipInfo("code/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match=r"no file inside a model \('code/link'\)"):
        unpacked_for_good(file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


def test_a_file_that_the_manifest_does_not_list_with_its_size_is_refused(packed: Path, tmp_path: Path) -> None:
    shard = "artifacts/bundle/shards/00000.sqlite"
    for name, content in {
        shard: bytes(10**8),
        "artifacts/bundle/more": b"x",
        "artifacts/bundle/ledger.parquet": None,
    }.items():
        file = _changed(packed, tmp_path / "model.zip", **{name: content})
        assert file.stat().st_size < 10**7  # a hundred megabytes of nothing
        with pytest.raises(InputError, match=f"does not list these files with these sizes .{name}"):
            unpack(file, tmp_path)


def test_a_bomb_beside_the_bundle_is_refused(packed: Path, tmp_path: Path) -> None:
    file = _changed(packed, tmp_path / "model.zip", **{"code/bomb": bytes(archives._LARGEST_REST)})
    with pytest.raises(InputError, match=r"files beside the bundle have .* bytes, more than 67,108,864"):
        unpack(file, tmp_path)


def test_a_bomb_that_the_manifest_lists_does_not_fill_the_disk(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(InputError, match=r"it needs .* bytes, and 1,000 are free"):
        unpack(packed, tmp_path)


def test_a_size_that_lies_is_found(packed: Path, tmp_path: Path) -> None:
    """The directory of the file says ten bytes, where the data are a hundred megabytes."""
    file = _changed(packed, tmp_path / "model.zip", **{"code/lie": bytes(10**7)})
    real, told = (10**7).to_bytes(4, "little"), (10).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(real, told))
    with pytest.raises(InputError, match="no zip file that can be read"):
        unpacked_for_good(file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


@pytest.mark.parametrize("files", [{MANIFEST: None}, {"artifacts/other/manifest.json": b"{}"}])
def test_another_zip_file_is_refused(packed: Path, tmp_path: Path, files: dict[str, bytes | None]) -> None:
    with pytest.raises(InputError, match=r"it holds \d bundles, and a packed model holds one"):
        unpack(_changed(packed, tmp_path / "model.zip", **files), tmp_path)


def test_what_is_no_zip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_text("no zip")
    with pytest.raises(InputError, match=r"is no zip file that can be read .*metamodel pack --zip"):
        unpack(tmp_path / "model.zip", tmp_path)


def test_a_child_in_a_bundle_that_grows_when_unpacked_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pkl", bytes(10**6))
    with ShardWriter(tmp_path / "00000.sqlite") as shard:
        shard.add(ShardRow.of_child("bomb", 0, "", buffer.getvalue(), 0))
    loader = ElsewhereLoader(str(tmp_path))
    loader.__dict__["_archives"] = [ShardReader(tmp_path / "00000.sqlite")]
    with pytest.raises(ChildUnavailable, match="the archive bomb grows when it is unpacked"):
        loader._unpack("bomb", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["00000.sqlite"]


def test_a_compression_that_packing_does_not_use_is_refused(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_LZMA) as sink:
        for name in source.namelist():
            sink.writestr(name, source.read(name))
    with pytest.raises(InputError, match=r"is not unpacked: it holds what is no file inside a model"):
        unpack(tmp_path / "model.zip", tmp_path)


@pytest.mark.slow
def test_no_flipped_byte_of_a_packed_model_gives_an_error_that_is_not_ours(packed: Path, tmp_path: Path) -> None:
    content, chance = packed.read_bytes(), random.Random(0)
    (tmp_path / "out").mkdir()
    refused = 0
    for number in range(100):
        position = chance.randrange(len(content) - 4000, len(content)) if number % 2 else chance.randrange(len(content))
        changed = bytearray(content)
        changed[position] ^= 1 << chance.randrange(8)
        (tmp_path / "model.zip").write_bytes(changed)
        try:
            unpack(tmp_path / "model.zip", tmp_path / "out")
        except MetaModelError:
            refused += 1
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").mkdir()
    assert refused > 50


ODD = {
    "flavors: {python_function: {artifacts: [1]}}": "not one that metamodel logged",
    "flavors: {python_function: {artifacts: {bundle: 7}}}\nmetadata: {metamodel: {}}": "not one that metamodel logged",
    "flavors: 7": "not one that metamodel logged",
    "flavors: {}\nsignature: 7": "not one that metamodel logged",
    "7": "MLmodel cannot be read",
    "a: [": "MLmodel cannot be read",
    "flavors: {}\nmetadata: 7": "not one that metamodel logged",
}


@pytest.mark.parametrize("text", ODD)
def test_a_packed_model_with_an_odd_description_is_unreadable(packed: Path, tmp_path: Path, text: str) -> None:
    file = _changed(packed, tmp_path / "model.zip", MLmodel=text.encode())
    with pytest.raises(MetaModelError, match=ODD[text]):
        metamodel.load_model(file)


def test_a_packed_model_that_names_a_bundle_elsewhere_is_refused(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        text = archive.read("MLmodel").decode()
    for place in (str(packed.parent / "bundle"), "../bundle"):
        changed = text.replace("path: artifacts/bundle", f"path: {place}")
        assert changed != text
        file = _changed(packed, tmp_path / "model.zip", MLmodel=changed.encode())
        with pytest.raises(UnreadableBundle, match="names a file outside the model"):
            metamodel.load_model(file)


def test_a_model_that_holds_another_bundle_than_was_logged_is_refused(packed: Path, tmp_path: Path) -> None:
    other = metamodel.train(panel(3).assign(y=1.0), "store", "y", "ridge", n_jobs=1, holdout=0)
    unpack(packed, tmp_path)
    shutil.rmtree(tmp_path / "artifacts/bundle")
    shutil.copytree(other.bundle_path, tmp_path / "artifacts/bundle")
    with pytest.raises(UnreadableBundle, match="holds another bundle than the one that was logged"):
        metamodel.load_model(tmp_path)


# -------- opened
@pytest.mark.parametrize("form", ["{path}", "zip:{path}", "zip://{path}", "zip:model.zip", "model.zip"])
def test_a_packed_model_is_loaded_from_its_file(packed: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(packed.parent)
    rows = panel(3).drop(columns="y")
    expected = metamodel.load_model(packed.parent / "bundle").predict(rows)["prediction"]
    uri = form.format(path=packed)
    np.testing.assert_array_equal(metamodel.load_model(uri).predict(rows)["prediction"], expected)
    if uri.startswith("zip:"):
        np.testing.assert_array_equal(mlflow.pyfunc.load_model(uri).predict(rows)["prediction"], expected)


# -------- what stays behind
def _program(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(lines)]


def test_what_a_killed_process_leaves_is_taken_away_by_the_next(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    start = ("from metamodel.common.temp_dirs import scratch_directory", "print(scratch_directory('test'), flush=True)")
    with subprocess.Popen(
        _program(*start, "import time; time.sleep(600)"), env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        directory = Path(process.stdout.readline().strip())
        subprocess.run(_program(*start), env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)
        assert directory.is_dir()  # its owner lives
        process.send_signal(signal.SIGKILL)
    assert directory.is_dir()
    subprocess.run(_program(*start), env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert not list(tmp_path.iterdir())


def test_a_forked_process_has_a_directory_of_its_own(tmp_path: Path) -> None:
    program = _program(
        "import os, sys",
        "from metamodel.common.temp_dirs import scratch_directory",
        "mine = scratch_directory('test')",
        "if (child := os.fork()) == 0:",
        "    sys.exit(0 if scratch_directory('test').parent != mine.parent else 1)",
        "assert os.waitpid(child, 0)[1] == 0",
        "assert mine.is_dir()",
    )
    subprocess.run(program, env={**os.environ, "TMPDIR": str(tmp_path)}, check=True, timeout=120)
    assert not list(tmp_path.iterdir())
