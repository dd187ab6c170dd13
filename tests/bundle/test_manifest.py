"""The manifest: everything that is written comes back, and nothing else passes for one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.bundle.manifest import FORMAT_VERSION, FileEntry, Manifest, Target
from metamodel.exceptions import UnreadableBundle
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import KeyColumn, KeySchema

pytestmark = pytest.mark.tableless

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CLASSES = st.lists(TEXT) | st.lists(st.integers()) | st.just([False, True])
COUNTS = {"fitted": 1, "resident_bytes": 100}
NAMES = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5})?\.npy", fullmatch=True)
MANIFESTS = st.builds(
    Manifest,
    keys=st.builds(
        KeySchema,
        st.lists(
            st.builds(KeyColumn, TEXT, st.sampled_from(["string", "integer", "date"])),
            min_size=2,
            unique_by=lambda column: column.name,
        ).map(tuple),
        st.sampled_from(["error", "group", "drop"]),
    ),
    features=st.builds(
        FeatureSchema,
        st.lists(st.builds(Feature, TEXT, st.sampled_from(["number", "string"]), TEXT)).map(tuple),
        st.sampled_from(["array", "frame"]),
    ),
    target=st.builds(Target, TEXT, st.just("classification"), st.just("string"), CLASSES.map(tuple)),
    unknown=st.sampled_from(["null", "error", "fallback"]),
    levels=st.sampled_from([(), (1, 0), (0,)]),
    codec=st.sampled_from(["cloudpickle", "skops"]),
    spec_digest=TEXT,
    options=st.dictionaries(TEXT, JSON, max_size=3).map(lambda options: options | {"candidates": {}}),
    counts=st.dictionaries(TEXT, st.integers(0), max_size=3).map(lambda counts: counts | COUNTS),
    versions=st.dictionaries(TEXT, TEXT, max_size=3),
    created=TEXT,
    files=st.dictionaries(NAMES, st.builds(FileEntry, TEXT, st.integers(0), TEXT), max_size=3),
)


@pytest.fixture
def plain() -> dict:
    manifest = Manifest(
        keys=KeySchema((KeyColumn("store", "integer"),)),
        features=FeatureSchema((Feature("price", "number", "float64"),)),
        target=Target("units", "regression"),
        unknown="null",
        levels=(),
        codec="skops",
        spec_digest="abc",
        options={"candidates": {}},
        counts=COUNTS,
        versions={},
        created="2026-01-31T00:00:00+00:00",
    )
    return json.loads(manifest.to_json())


@given(MANIFESTS)
def test_a_manifest_survives_json_and_utf8(manifest):
    assert Manifest.from_json(manifest.to_json().encode().decode(), "here") == manifest


def test_fields_of_later_releases_are_ignored(plain):
    assert Manifest.from_json(json.dumps(plain | {"weather": {"sunny": True}}), "here").codec == "skops"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "{}", '"format_version"', "\ufffd"])
def test_text_that_is_no_manifest_is_refused(text):
    with pytest.raises(UnreadableBundle, match=r"x/manifest.json is no manifest \(.*\). Give the path of a bundle"):
        Manifest.from_json(text, "x/manifest.json")


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, -1, "1", 1.0, True, None])
def test_a_format_version_that_this_release_does_not_know_is_refused(plain, version):
    with pytest.raises(
        UnreadableBundle, match=r"has format version .*; this release reads \d+. Open it with the release that wrote"
    ):
        Manifest.from_json(json.dumps(plain | {"format_version": version}), "here")


def test_every_missing_field_is_named(plain):
    for name in set(plain) - {"format_version"}:
        garbled = {key: value for key, value in plain.items() if key != name}
        with pytest.raises(UnreadableBundle, match=f"lacks or garbles a field: .*{name}.* Restore the file"):
            Manifest.from_json(json.dumps(garbled), "here")


@given(field=st.sampled_from(["keys", "features", "target", "levels", "files"]), value=JSON)
def test_garbled_fields_are_an_unreadable_bundle_or_readable_and_never_another_error(field, value):
    plain = {"keys": {"columns": [], "null_keys": "error"}, "features": {"features": [], "layout": "array"}}
    plain |= {"target": {"name": "y", "task": "regression", "classes": []}, "levels": [], "files": {}}
    plain |= dict.fromkeys(["unknown", "codec", "spec_digest", "options", "counts", "versions", "created"], "")
    try:
        manifest = Manifest.from_json(json.dumps(plain | {"format_version": 1, field: value}), "here")
    except UnreadableBundle as error:
        outcome = str(error)
    else:
        outcome = type(manifest).__name__
    assert outcome == "Manifest" or "lacks or garbles a field" in outcome


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("levels", [1]),
        ("levels", ["0"]),
        ("unknown", "perhaps"),
        ("counts", {"fitted": "7", "resident_bytes": 1}),
        ("counts", {"fitted": -1, "resident_bytes": 1}),
        ("counts", {}),
        ("options", {}),
        ("versions", {"python": 3}),
        ("codec", 7),
        ("target", {"name": "units", "task": "regression", "label_kind": "string", "classes": []}),
        ("target", {"name": "units", "task": "poetry", "label_kind": None, "classes": []}),
        ("files", {"../ledger.parquet": {"sha256": "", "size": 1}}),
        ("files", {"/etc/passwd": {"sha256": "", "size": 1}}),
        ("files", {"ledger.parquet": {"sha256": "", "size": True}}),
        ("stacks", [{"name": "../stacks/00000"}]),
        ("stacks", {"name": "stacks/00000"}),
        ("group_values", {"columns": "radius"}),
        ("compression", "lzma"),
        ("keys", {"columns": [{"name": "store", "kind": "weather"}], "null_keys": "error"}),
        ("features", {"features": [{"name": 7, "kind": "number", "dtype": "float64"}], "layout": "array"}),
    ],
)
def test_a_field_that_cannot_be_right_is_found_when_the_bundle_is_opened(plain, field, value):
    with pytest.raises(UnreadableBundle, match=rf"here lacks or garbles a field: .*{field}.* Restore the file"):
        Manifest.from_json(json.dumps(plain | {field: value}), "here")


def test_deep_nesting_is_no_manifest():
    with pytest.raises(UnreadableBundle, match="here is no manifest"):
        Manifest.from_json("[" * 100_000, "here")


def test_a_file_entry_tells_a_changed_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = FileEntry.of(path)
    path.write_bytes(b"two")
    assert (before.size, before == FileEntry.of(path)) == (3, False)
