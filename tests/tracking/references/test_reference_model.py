"""What a reference says, what it may point to, and the tables that children are listed in."""

import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import Model, infer_signature
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.bundle.group_values import write_group_values
from metamodel.bundle.ledger_queries import who_answers
from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.reader import Bundle
from metamodel.bundle.references import Reference, ReferenceSettings, ReferenceTable, write_reference_table
from metamodel.bundle.shard_writer import seal_shard
from metamodel.bundle.writer import finish_bundle
from metamodel.exceptions import ChildUnavailable, CorruptBundle, InputError, MissingColumns, UnreadableBundle
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote.adapters import EstimatorChild, PyfuncChild
from metamodel.flavor.remote.child_files import files_of
from metamodel.report.page_content import Facts
from metamodel.tables.keys import KeyColumn, KeySchema, decode_key, encode_key
from metamodel.tracking.pack_children import pack_children
from metamodel.tracking.references.check_children import CheckedChild
from metamodel.tracking.references.child_table import from_template, read_uris
from metamodel.tracking.references.reference_model import write_references
from metamodel.training.build_stacks import stack_bundle
from metamodel.training.earlier_children import Starts

KEYS = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))


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


@pytest.mark.parametrize("name", ["../model.pkl", "a/../../model.pkl", "/etc/passwd", "..\\model.pkl", "C:\\model.pkl"])
def test_a_file_outside_the_model_is_never_fetched(name: str) -> None:
    with pytest.raises(UnreadableBundle, match="names a file outside the model"):
        files_of(Model(flavors={"sklearn": {"pickled_model": name}}))


# -------- tables of children
def _filled(template: str, rows: Sequence[tuple[object, ...]], schema: KeySchema = KEYS) -> list[str]:
    return list(from_template(template, pd.DataFrame(rows, columns=schema.names), schema)["uri"])


def test_a_template_is_filled_once_for_each_key() -> None:
    rows = [("FR", 7), ("FR", 7.0), ("DE", 8)]
    assert _filled("models:/{country}-{store:03d}/1", rows) == ["models:/FR-007/1", "models:/DE-008/1"]
    assert _filled("models:/stores@champion", rows) == ["models:/stores@champion"] * 2


def test_a_template_takes_the_values_that_keys_have_and_not_how_they_are_written() -> None:
    schema = KeySchema((KeyColumn("store", "integer"), KeyColumn("day", "timestamp")))
    rows = [("07", pd.Timestamp("2026-01-31"))]
    assert _filled("models:/s-{store}-{day:%Y%m%d}/1", rows, schema) == ["models:/s-7-20260131/1"]


@pytest.mark.parametrize(
    ("template", "match"),
    [
        ("models:/{colour}/1", "'colour', no group column"),
        ("models:/{country", "cannot be read"),
        ("models:/{store[0]}/1", "no group column"),
        ("models:/{store:{width}}/1", "cannot be filled with"),
        ("models:/{country:03d}/1", "cannot be filled with"),
    ],
)
def test_a_template_that_is_none_is_refused(template: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        _filled(template, [("FR", 7)])


def test_a_template_needs_keys() -> None:
    with pytest.raises(InputError, match="needs a table of keys"):
        from_template("models:/{country}/1", None, KEYS)


@pytest.mark.parametrize("value", ["FR/1", "FR@2", "FR#", "FR?", "a:b", "a\\b", "a\nb", "..", ".", "", " "])
@pytest.mark.parametrize("template", ["models:/s-{country}@champion", "/models/{country}", "s3://models/{country}"])
def test_a_value_that_would_lead_elsewhere_is_refused(template: str, value: str) -> None:
    with pytest.raises(InputError, match=r"The value .* cannot stand in a URI"):
        _filled(template, [(value, 7)])


def test_values_are_quoted_where_a_server_takes_the_quotes_away() -> None:
    rows = [("../A", 1), ("%41", 1), ("A", 1), ("a?b#c", 1), ("é", 1)]
    expected = ["..%2FA", "%2541", "A", "a%3Fb%23c", "%C3%A9"]
    assert _filled("https://h/{country}/invocations", rows) == [f"https://h/{name}/invocations" for name in expected]
    assert _filled("file:///m/{country}", rows) == [f"file:///m/{name}" for name in expected]


def test_two_keys_that_a_template_leads_to_one_place_are_refused() -> None:
    schema = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "string")))
    with pytest.raises(InputError, match=r"leads \('a-b', 'c'\) and \('a', 'b-c'\) to one place, models:/a-b-c/1"):
        _filled("models:/{country}-{store}/1", [("a-b", "c"), ("a", "b-c")], schema)


def test_a_null_fills_no_template() -> None:
    with pytest.raises(InputError, match="'store' of the keys holds a null"):
        _filled("models:/{country}-{store}/1", [("FR", 7), ("FR", None)])


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 99)), min_size=2, max_size=5, unique=True))
def test_a_template_never_leads_two_keys_to_one_place(rows: list[tuple[str, int]]) -> None:
    for template in ("https://h/{country}{store}/invocations", "models:/{country}{store}/1"):
        with contextlib.suppress(InputError):
            uris = _filled(template, rows)
            assert len({urlsplit(unquote(uri) if "h/" in uri else uri).geturl() for uri in uris}) == len(rows)


def test_text_of_files_and_tags_finds_its_kind_and_empty_columns_make_parents() -> None:
    table = pd.DataFrame({"country": ["FR", "FR", None], "store": ["7", None, np.nan], "uri": ["a", "b", " c "]})
    assert read_uris(table, KEYS) == {("FR", 7): "a", ("FR",): "b", (): "c"}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([("FR", 7, "a"), ("FR", "7", "b")], "is in the table twice"),
        ([(None, 7, "a")], "has a null before a value"),
        ([("FR", 7, None)], "has no URI"),
        ([("FR", 7, " ")], "has no URI"),
        ([("FR", 7.5, "a")], "holds integers"),
        ([], "is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(rows: list[tuple[object, ...]], match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_uris(pd.DataFrame(rows, columns=["country", "store", "uri"]), KEYS)


def test_a_table_without_uris_is_refused() -> None:
    with pytest.raises(MissingColumns, match="'uri'"):
        read_uris(pd.DataFrame({"country": ["FR"], "store": [7]}), KEYS)


# -------- children that others made
class Doubles:
    """Takes an array."""

    def predict(self, x: object) -> object:
        assert isinstance(x, np.ndarray)
        return 2 * x[:, 0]


class ByName(Doubles):
    """Takes columns by name, in its own order."""

    feature_names_in_ = np.array(["z", "x"])

    def predict(self, x: object) -> object:
        assert isinstance(x, pd.DataFrame)
        assert list(x.columns) == ["z", "x"]
        return x["z"]


def test_an_estimator_gets_what_it_was_fitted_on() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    assert list(EstimatorChild(Doubles()).predict(rows)) == [2.0, 4.0]
    assert list(EstimatorChild(ByName()).predict(rows)) == [3.0, 4.0]


@pytest.fixture
def of_array(tmp_path: Path) -> metamodel.MetaModel:
    """A meta-model with one child in a directory, 100 b + a, which was fitted on an array."""
    fitted = pd.DataFrame({"b": [1.0, 2.0, 4.0, 9.0], "a": [3.0, 1.0, 2.0, 5.0]})
    estimator = LinearRegression().fit(fitted.to_numpy(), 100 * fitted["b"] + fitted["a"])
    path, signature = tmp_path / "model", infer_signature(fitted)
    mlflow.sklearn.save_model(estimator, str(path), signature=signature, pip_requirements=[])
    children = pd.DataFrame({"store": [1], "uri": [str(path)]})
    settings = ReferenceSettings(roots=(str(tmp_path),))
    return metamodel.load_model(write_references(tmp_path / "of_array", children, ROWS, "store", settings=settings))


ROWS = pd.DataFrame({"store": [1, 1], "a": [1.0, 2.0], "b": [4.0, 5.0]})


def test_an_estimator_fitted_on_an_array_gets_the_columns_in_the_order_of_its_signature(
    of_array: metamodel.MetaModel,
) -> None:
    np.testing.assert_allclose(of_array.predict(ROWS)["prediction"], [401, 502])


def test_a_relative_path_is_that_of_the_one_who_refers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    mlflow.sklearn.save_model(
        DummyRegressor().fit(x, x["a"]), str(tmp_path / "model"), signature=infer_signature(x), pip_requirements=[]
    )
    children, rows = pd.DataFrame({"store": [1], "uri": ["model"]}), ROWS[["store", "a"]]
    monkeypatch.chdir(tmp_path)
    path = write_references(tmp_path / "b", children, rows, "store", settings=ReferenceSettings(roots=(".",)))
    monkeypatch.chdir("/")
    assert metamodel.load_model(path).predict(rows)["status"].tolist() == ["child", "child"]


def test_a_model_that_has_read_packed_children_travels_to_other_processes(
    of_array: metamodel.MetaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    model = metamodel.load_model(pack_children(of_array, tmp_path / "packed"))
    before = model.predict(ROWS)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).predict(ROWS), before)


@pytest.mark.parametrize("name", ["FR%41", "FR#1", "FR?1", "FRÀ a"])
def test_a_directory_is_that_of_its_very_name(tmp_path: Path, name: str) -> None:
    x = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    for number, directory in enumerate(("FRA", "FR", name)):
        model, signature = DummyRegressor(strategy="constant", constant=number).fit(x, x["x"]), infer_signature(x)
        mlflow.sklearn.save_model(model, str(tmp_path / "new"), signature=signature, pip_requirements=[])
        (tmp_path / "new").rename(tmp_path / directory)
    rows = pd.DataFrame({"country": [name], "x": [1.0]})
    settings, template = ReferenceSettings(roots=(str(tmp_path),)), f"file://{tmp_path}/{{country}}"
    path = write_references(tmp_path / "bundle", template, rows, "country", keys=rows, settings=settings)
    assert metamodel.load_model(path).predict(rows)["prediction"].tolist() == [2]


def test_an_estimator_that_counts_no_columns_gets_those_of_its_signature_by_name() -> None:
    class Selecting:
        def predict(self, x: pd.DataFrame) -> object:
            return x["z"]

    rows = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    assert list(EstimatorChild(Selecting(), signature=["z", "x"]).predict(rows)) == [3.0, 4.0]


@pytest.mark.parametrize(
    "answers", [[1.0], pd.Series([1.0]), pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [0.0], "prediction": [1.0]})]
)
def test_a_pyfunc_child_gives_one_value_a_row(answers: object) -> None:
    class Model:
        def predict(self, x: object) -> object:
            return answers

    assert PyfuncChild(Model()).predict(pd.DataFrame({"x": [1]})).tolist() == [1.0]


# -------- the bundle
@pytest.fixture
def referring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that refers to a directory that is gone."""
    monkeypatch.setattr(
        "metamodel.tracking.references.reference_model.check_children",
        lambda uris, *_, pin: [CheckedChild(key, Reference(uri, place=uri), "sklearn") for key, uri in uris.items()],
    )
    rows = pd.DataFrame({"store": [1, 2], "x": [1.0, 2.0]})
    children = pd.DataFrame({"store": [1], "uri": [str(tmp_path / "gone")]})
    return write_references(tmp_path / "bundle", children, rows, "store")


def test_a_child_that_lives_elsewhere_is_nothing_to_go_on_from(referring: Path) -> None:
    (start,) = Starts(Bundle(referring)).of([(1,)]).values()
    assert start.refusal == "the earlier child lives elsewhere"


def test_a_child_that_is_gone_fails_its_rows_alone(referring: Path) -> None:
    rows = pd.DataFrame({"store": [1, 2, 1.5], "x": [1.0, 2.0, 3.0]})
    answers = metamodel.load_model(referring).predict(rows, {"detail": True})
    assert answers["status"].tolist() == ["failed", "unknown_group", "invalid_key"]
    assert "cannot be loaded" in answers["error"][0]


def test_preloading_and_the_report_know_children_elsewhere(referring: Path) -> None:
    with pytest.warns(RuntimeWarning, match="1 group cannot be preloaded.*may not be used"):
        model = metamodel.load_model(referring, preload=10)
    assert model.stats()["preload"]["asked"] == 1
    facts = Facts(model.manifest, model.ledger, None, None)
    assert (len(facts.fitted), facts.reasons()) == (1, [])
    assert who_answers(model.ledger, model.manifest.keys, ())["child"][0] == 1


def test_a_bundle_that_nobody_fetches_for_says_so(referring: Path) -> None:
    with pytest.raises(ChildUnavailable, match=r"Open the model with metamodel\.load_model"):
        Bundle(referring).load((1,))


def test_stacking_keeps_every_other_file(referring: Path) -> None:
    (referring / "packed").mkdir()
    (referring / "packed" / "note.txt").write_text("mine")
    bundle, ledger = Bundle(referring), Bundle(referring).ledger
    (referring / "manifest.json").unlink()
    finish_bundle(referring, bundle.manifest, ledger)
    before = set(Bundle(referring).manifest.files)
    stack_bundle(referring, pd.DataFrame({"store": [1, 2], "x": [1.0, 2.0]}))
    packed = Bundle(referring)
    assert {"packed/note.txt", "ledger.parquet"} < before == set(packed.manifest.files)
    assert (packed.damaged_files(), dict(packed.references.items())) == ([], dict(bundle.references.items()))


def test_packing_keeps_the_figures_of_groups(referring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, ledger = Bundle(referring), Bundle(referring).ledger
    values = write_group_values(referring, pd.DataFrame({"radius": [2.5]}, index=[encode_key((1,))]))
    (referring / "manifest.json").unlink()
    finish_bundle(referring, replace(bundle.manifest, group_values=values), ledger)
    monkeypatch.setattr(
        "metamodel.tracking.pack_children._fetched", lambda references, loader: iter(())
    )  # the child is gone
    packed = metamodel.MetaModel(pack_children(metamodel.load_model(referring), tmp_path / "packed"))
    assert packed.bundle.damaged_files() == []
    assert packed.radius((1,)) == 2.5


def test_only_a_referring_model_can_be_packed(tmp_path: Path) -> None:
    frame = pd.DataFrame({"store": [1, 1, 1], "x": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]})
    result = metamodel.train(frame, "store", "y", n_jobs=1, holdout=0)
    with pytest.raises(InputError, match="refers to no child elsewhere"):
        pack_children(metamodel.load_model(result.bundle_path), tmp_path / "packed")


def test_nothing_half_packed_stays_behind(referring: Path, tmp_path: Path) -> None:
    with pytest.raises(ChildUnavailable, match="cannot be loaded"):
        pack_children(metamodel.load_model(referring), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
