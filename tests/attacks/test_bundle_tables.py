"""Tables of a bundle, a roll-out and a log that somebody wrote, digests and all: bounded, and one error of ours."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logged_rows import log_in
from parquet_bombs import as_file, lying
from rolled_out import panel, rolled_out, trained, two_models, visitors

from metamodel.bundle.carry.contests import CONTESTS_NAME, read_contests
from metamodel.bundle.carry.seen import SEEN_NAME, read_seen
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME, read_drift
from metamodel.bundle.reader import Bundle
from metamodel.bundle.rollout.overlaid import OverlaidBundle
from metamodel.bundle.rollout.overlay import OVERLAY_KEYS_NAME
from metamodel.exceptions import CorruptBundle, InputError
from metamodel.flavor.load import load_model
from metamodel.prediction_log.compaction import compact_log
from metamodel.prediction_log.log_files import new_files
from metamodel.prediction_log.log_reader import read_log
from metamodel.tables.keys import decode_key
from metamodel.tables.parquet import opened_size

pytestmark = pytest.mark.attack


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_size, "_limit", lambda: 50 * 2**20)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options: dict[str, Any] = {"estimator": ["ridge", "decision_tree"], "seen": True}
    return trained(tmp_path_factory.mktemp("attacked") / "bundle", panel(), **options).path


def put(bundle: Path, name: str, content: bytes) -> None:
    """Write a file, and the digests that prove it."""
    (bundle / name).unlink(missing_ok=True)  # other bundles may have it by a second name
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "identity": ""}
    said = json.dumps(manifest).encode()
    for file in ("manifest.json", "manifest.sha256"):
        (bundle / file).unlink()
    (bundle / "manifest.json").write_bytes(said)
    (bundle / "manifest.sha256").write_text(f"{hashlib.sha256(said).hexdigest()}  manifest.json\n")


READERS: dict[str, Callable[[Bundle], object]] = {
    "ledger.parquet": lambda bundle: bundle.ledger,
    "holdout.parquet": lambda bundle: bundle.read_table("holdout.parquet"),
    SEEN_NAME: read_seen,
    CONTESTS_NAME: read_contests,
    DRIFT_NAME: read_drift,
}

_LONG = "a" * 2**20

CONTENTS = {
    "no table": b"PAR1 and nothing more",
    "one long text": as_file(pa.table({"key": [_LONG * 60]}), use_dictionary=False),
    "one long text, denied": lying(as_file(pa.table({"key": [_LONG * 60]}), use_dictionary=False)),
    "repeated texts": as_file(pa.table({"key": [_LONG] * 60})),
    "repeated numbers": as_file(pa.table({"key": np.zeros(10**7)})),
}

# What does not say what its readers ask for: of these tables any is a ledger, and any can have been held out.
OTHERS = {
    "another table": as_file(pa.table({"x": [1]})),
    "numbers for texts": as_file(pa.table({"key": [1.5], "hashes": [2], "contest": [3]})),
    "deep texts": as_file(pa.table({"key": ['["a"]'], "hashes": [b"odd"], "contest": ["[" * 100_000]})),
}


def assert_damage(bundle: Path, name: str, content: bytes) -> None:
    """Whoever reads this in place of a table says that it is damaged; then the table is there again."""
    whole = (bundle / name).read_bytes()
    put(bundle, name, content)
    try:
        with pytest.raises(CorruptBundle, match=rf"{name} cannot be read \(.*\)\. Restore") as caught:
            READERS[name](Bundle(bundle))
    finally:
        put(bundle, name, whole)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_table_of_a_bundle_that_is_none_or_a_bomb_is_damage(champion: Path, name: str, kind: str) -> None:
    assert READERS[name](Bundle(champion)) is not None
    assert_damage(champion, name, CONTENTS[kind])


@pytest.mark.parametrize("name", [SEEN_NAME, CONTESTS_NAME, DRIFT_NAME])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_that_is_another_one_is_damage(champion: Path, name: str, kind: str) -> None:
    assert_damage(champion, name, OTHERS[kind])


@pytest.mark.parametrize("content", [*CONTENTS.values(), *OTHERS.values()][:-1], ids=[*CONTENTS, *OTHERS][:-1])
def test_keys_of_an_overlay_that_are_none_are_damage(tmp_path: Path, content: bytes) -> None:
    opened = rolled_out(tmp_path, *two_models(tmp_path))
    overlay = opened.path / "challenger"
    put(overlay, OVERLAY_KEYS_NAME, content)
    challenger = OverlaidBundle(overlay, Bundle(opened.path / "champion"))
    with pytest.raises(CorruptBundle, match=rf"{OVERLAY_KEYS_NAME} cannot be read") as caught:
        challenger.holds([decode_key(f"[{shop}]") for shop in range(300)])
    assert "\n" not in str(caught.value)


def test_an_overlay_of_other_groups_is_not_the_one_that_was_rolled_out(tmp_path: Path) -> None:
    opened = rolled_out(tmp_path, *two_models(tmp_path), mode="ab", fraction=1.0, entity="customer:string")
    rows = visitors()
    before = load_model(opened.path / "champion").predict(rows)["prediction"]
    put(opened.path / "challenger", OVERLAY_KEYS_NAME, as_file(pa.table({"key": ["[7]", "[8]"]})))
    with pytest.warns(RuntimeWarning, match="the champion answers all rows: .*not the one that was rolled out"):
        answers = load_model(opened.path).predict(rows)
    pd.testing.assert_series_equal(answers["prediction"], before)


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "no table"])
def test_a_bomb_in_a_log_is_refused_and_set_aside(tmp_path: Path, kind: str) -> None:
    folder = log_in(tmp_path, 1)
    (first,) = new_files(folder)
    rows = pq.read_table(first).slice(0, 1)
    long = {"one long text": [_LONG * 60], "repeated texts": [_LONG] * 60}.get(kind.partition(",")[0])
    if long is None:
        bomb = rows.take(pa.array([0]).take(pa.array([0] * 3_000_000)))
    else:
        bomb = rows.take(pa.array([0] * len(long)))
        bomb = bomb.set_column(bomb.schema.get_field_index("key"), "key", pa.array(long))
    content = as_file(bomb, use_dictionary=kind == "repeated texts", row_group_size=10**7, write_page_checksum=True)
    odd = first.with_name("rows-20200101T000000000000-h-1-dddddddd.parquet")
    odd.write_bytes(content)
    with pytest.raises(InputError, match=f"{odd.name} of the log is damaged") as caught:
        list(read_log(folder))
    assert "\n" not in str(caught.value)
    done = compact_log(folder)
    assert (done.rows, done.damaged) == (20, 1)
