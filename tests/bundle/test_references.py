"""What a reference says, what it may point to, and how it is stored."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.references import Reference, ReferenceSettings, ReferenceTable, write_reference_table
from metamodel.bundle.shard_writer import seal_shard
from metamodel.exceptions import CorruptBundle, InputError
from metamodel.tables.keys import decode_key, encode_key


# -------- references and their table
@given(st.text(), st.sampled_from(["model", "bundle", "endpoint"]), st.text(), st.text())
def test_a_reference_survives_being_written(uri: str, kind: str, place: str, packed: str) -> None:
    reference = Reference(uri, kind, place, packed)  # type: ignore[arg-type]
    assert Reference.from_json(reference.to_json()) == reference


@pytest.mark.parametrize("text", [b"", b"{}", b'{"uri": "a", "kind": "carrier pigeon"}', b'{"uri": "a", "speed": 1}'])
def test_a_reference_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(CorruptBundle, match="A reference cannot be read"):
        Reference.from_json(text)


def test_a_table_gives_each_group_its_reference(tmp_path: Path) -> None:
    rows = [(encode_key((i,)), 1, Reference(f"models:/m-{i}")) for i in range(100)]
    write_reference_table(tmp_path, rows)
    name = "references/00000.sqlite"
    identity = seal_shard(tmp_path / name)
    table = ReferenceTable(tmp_path, {name: FileEntry.of(tmp_path / name, identity)}, {})
    assert table.find("[7]") == Reference("models:/m-7")
    assert table.find("[100]") is None
    assert [(key, len(decode_key(key)), reference) for key, reference in table.items()] == rows


# -------- settings
@pytest.mark.parametrize("name", ["refresh_seconds", "requests_per_second", "concurrency", "deadline_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "fast", True])
def test_a_number_that_is_none_is_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name}=.* is no positive number"):
        ReferenceSettings(**{name: value})  # type: ignore[arg-type]


def test_settings_survive_being_written_and_later_ones_are_left_aside() -> None:
    settings = ReferenceSettings(refresh_seconds=60, roots=("/models",), allow_private=True)
    assert ReferenceSettings.from_dict({**settings.to_dict(), "colour": "red"}) == settings


@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "file:///etc/passwd", "{root}/../secret", "file://{root}/%2e%2e/secret", "relative"]
)
def test_paths_outside_the_root_are_refused(uri: str, tmp_path: Path) -> None:
    root = tmp_path / "models"
    settings = ReferenceSettings(roots=(str(root),))
    assert "outside the allowed roots" in settings.objection(uri.format(root=root))
    assert settings.objection(f"{root}/a") == settings.objection(f"file://{root}/a") == ""


def test_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link").symlink_to("/etc")
    settings = ReferenceSettings(roots=(str(tmp_path / "models"),))
    assert "outside the allowed roots" in settings.objection(str(tmp_path / "models" / "link"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9\\@8.8.8.8/invocations",
        "http://127.0.0.1 @8.8.8.8/invocations",
        "http://127.0.0.1\t@8.8.8.8/invocations",
        "ht\ntp://127.0.0.1/invocations",
        "http://\uff1127.0.0.1/invocations",
        "http:///invocations",
        "http://8.8.8.8:port/invocations",
        "http://[::1/invocations",
        "mlflow-artifacts://127.0.0.1\\@8.8.8.8/model",
    ],
)
@pytest.mark.parametrize("allow_private", [True, False])
def test_an_address_with_two_meanings_is_refused(uri: str, allow_private: bool) -> None:
    assert "the address" in ReferenceSettings(allow_private=allow_private).objection(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///m/FR?1",
        "file:///m/FR#1",
        "models:/a#b@champion",
        "models:/a?/3",
        "runs:/1/FR%41",
        "mlflow-artifacts:/%2e",
    ],
)
def test_an_address_that_readers_would_shorten_or_change_is_refused(uri: str) -> None:
    assert "the address holds" in ReferenceSettings(roots=("/m",)).objection(uri)


@pytest.mark.parametrize("scheme", ["http", "https", "mlflow-artifacts", "ftp", "sftp", "hdfs", "r2", "abfss"])
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "169.254.169.254", "[::ffff:a00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]"],
)
def test_a_host_that_is_private_is_refused_whatever_the_scheme(scheme: str, host: str) -> None:
    uri = f"{scheme}://{host}/model"
    assert "is a private, loopback or link-local address" in ReferenceSettings().objection(uri)
    assert ReferenceSettings(allow_private=True).objection(uri) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "https://8.8.8.8/invocations",
        "https://[64:ff9b::808:808]/invocations",
        "s3://internal/model",
        "s3://arn:aws:s3:us-east-1:1234:accesspoint/models",
        "gs://localhost/model",
        "wasbs://models@store.blob.core.windows.net/a",
        "abfss://models@store.dfs.core.windows.net/a",
        "dbfs:/models/a",
        "mlflow-artifacts:/1/model",
        "runs:/abc/model",
        "models:/my model@champion",
    ],
)
def test_buckets_and_open_addresses_are_used(uri: str) -> None:
    assert ReferenceSettings().objection(uri) == ""


def test_with_roots_files_behind_the_registry_may_be_nowhere_else() -> None:
    assert ReferenceSettings().objection_behind("models:/a/1", "/elsewhere/a") == ""
    assert "outside" in ReferenceSettings(roots=("/models",)).objection_behind("models:/a/1", "/elsewhere/a")
    assert "outside" in ReferenceSettings().objection_behind("/elsewhere/a", "/elsewhere/a")
