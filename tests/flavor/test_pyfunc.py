"""The logged model as `mlflow.pyfunc.load_model` gives it to its users."""

import datetime as dt
import json
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import edge_children
import forked_programs
import mlflow
import numpy as np
import pandas as pd
import pytest
from edge_children import Counted
from forked_programs import Imported
from mlflow.exceptions import MlflowException
from numpy.testing import assert_allclose
from sklearn.tree import DecisionTreeClassifier

import metamodel
from metamodel.common.byte_cache import ByteCache
from metamodel.flavor.scoring_server import PublicError

PACKAGE = Path(metamodel.__file__).parent


def _load(result: metamodel.TrainingResult, **options: Any) -> Any:
    return mlflow.pyfunc.load_model(metamodel.log_model(result, **options, report=False).model_uri)


def _directory(model: Any) -> Path:
    """Where a model lies that was loaded from this machine's store."""
    return Path(model._model_impl.context.artifacts["bundle"]).parents[1]


# -------- every form of a key that pandas knows
KEYS: dict[str, list[Any]] = {
    "store": [7, 8],
    "country": ["FR", "DE"],
    "open": [True, False],
    "day": [dt.date(2026, 1, 31), dt.date(2026, 2, 1)],
    "at": [pd.Timestamp("2026-01-31 12:00"), pd.Timestamp("2026-02-01 13:30:15.25")],
}
TABLE = pd.DataFrame(KEYS).assign(x=1.0, y=[10.0, 20.0])


@pytest.fixture(scope="module")
def keyed() -> Any:
    return _load(
        metamodel.train(pd.concat([TABLE] * 2), list(KEYS), "y", "dummy", holdout=0, n_jobs=1, duplicates="keep")
    )


def _objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


DAYS, TIMES = KEYS["day"], KEYS["at"]
FORMS = [
    *(("store", pd.Series([7, 8], dtype=dtype)) for dtype in ("int64", "int8", "uint16", "Int64", "int64[pyarrow]")),
    *(("store", pd.Series([7, 8], dtype=dtype)) for dtype in ("float64", "float32", "Float64", "category")),
    ("store", pd.Series([7.0, 8.0]).astype("category")),
    ("store", _objects(7, 8.0)),
    ("store", _objects(np.int64(7), np.float32(8))),
    ("store", _objects(Decimal(7), Decimal("8.0"))),
    *(("country", pd.Series(["FR", "DE"], dtype=dtype)) for dtype in (object, "string", "category")),
    ("country", pd.Series(["FR", "DE"], dtype=pd.CategoricalDtype(["DE", "FR", "unused"]))),
    *(("open", pd.Series([True, False], dtype=dtype)) for dtype in (bool, object, "boolean", "category")),
    ("day", _objects(*DAYS)),
    ("day", _objects("2026-01-31", "2026-02-01")),
    ("day", pd.Series(pd.to_datetime(DAYS))),
    ("day", pd.Series(pd.to_datetime(DAYS)).astype("category")),
    ("day", pd.Series(DAYS, dtype="date32[day][pyarrow]")),
    ("day", _objects(*map(pd.Timestamp, DAYS))),
    *(("at", pd.Series(TIMES, dtype=f"datetime64[{unit}]")) for unit in ("ns", "us", "ms")),
    ("at", _objects(*(time.isoformat() for time in TIMES))),
    ("at", _objects(*(time.to_pydatetime() for time in TIMES))),
    ("at", pd.Series(TIMES).astype("category")),
]


@pytest.mark.parametrize(("name", "values"), FORMS, ids=[f"{name} {form.dtype} {form[0]!r}" for name, form in FORMS])
def test_every_form_of_a_key_names_its_group(keyed: Any, name: str, values: pd.Series) -> None:
    answers = keyed.predict(TABLE.assign(**{name: values}))
    assert answers["status"].tolist() == ["child", "child"]
    assert answers["prediction"].tolist() == [10.0, 20.0]


NO_KEYS = [
    ("store", _objects(7, 7.5)),
    ("store", pd.Series([7, 7.5])),
    ("store", _objects(7, "8")),
    ("store", _objects(7, True)),
    ("store", _objects(7, Decimal("8.5"))),
    ("store", _objects(7, None)),
    ("store", pd.Series([7, None], dtype="Int64")),
    ("store", pd.Series([7, np.nan])),
    ("store", pd.Series([7.0, np.inf])),
    ("store", pd.Series([7, None], dtype="Int64").astype("category")),
    ("country", _objects("FR", 8)),
    ("country", _objects("FR", None)),
    ("country", pd.Series(["FR", None], dtype="string")),
    ("country", _objects("FR", np.nan)),
    ("open", _objects(True, 0)),
    ("open", _objects(True, "false")),
    ("open", pd.Series([True, None], dtype="boolean")),
    ("day", _objects(DAYS[0], "1 Feb 2026")),
    ("day", _objects(DAYS[0], pd.Timestamp("2026-02-01 13:30"))),
    ("day", _objects(DAYS[0], pd.NaT)),
    ("at", _objects(TIMES[0], "soon")),
    ("at", pd.Series([TIMES[0], pd.NaT])),
    ("at", _objects(TIMES[0], TIMES[1].tz_localize("UTC"))),
]


@pytest.mark.parametrize(
    ("name", "values"), NO_KEYS, ids=[f"{name} {form.dtype} {form[1]!r}" for name, form in NO_KEYS]
)
def test_a_value_that_would_change_on_the_way_names_no_group_and_spoils_no_other_row(
    keyed: Any, name: str, values: pd.Series
) -> None:
    answers = keyed.predict(TABLE.assign(**{name: values}))
    assert answers["status"].tolist() == ["child", "invalid_key"]
    assert_allclose(answers["prediction"], [10.0, np.nan])


@pytest.mark.parametrize(
    "names",
    [
        ["/", ".", "%", '"', "'", "a\nb", "😀", "x" * 10_000],  # few groups: their names are drawn too
        ["../..", "a b", "_", "$x$", "NaN", "nan", "None", "null", "[]", "\\", "true", "7", " 7", "\t", "\0"],
    ],
    ids=["few", "many"],
)
def test_group_values_of_every_kind_of_text_are_logged_loaded_and_answered(names: list[str]) -> None:
    table = pd.DataFrame({"name": np.repeat(names, 4), "x": 1.0, "y": np.repeat(np.arange(len(names)), 4)})
    model = _load(metamodel.train(table, "name", "y", "dummy", holdout=0.25, n_jobs=1, duplicates="keep"))
    assert model.predict(table.drop(columns="y"))["prediction"].tolist() == table["y"].tolist()


@pytest.mark.parametrize(("first", "second"), [(("a-b", "c"), ("a", "b-c")), (('a","b', "c"), ("a", 'b","c'))])
def test_keys_that_would_be_equal_when_joined_are_different_groups(first: Any, second: Any) -> None:
    keys = pd.DataFrame([first, second], columns=["left", "right"])
    table = pd.concat([keys.assign(x=1.0, y=[1.0, 2.0])] * 2)
    model = _load(metamodel.train(table, ["left", "right"], "y", "dummy", holdout=0, n_jobs=1, duplicates="keep"))
    assert model.predict(keys.assign(x=0.0))["prediction"].tolist() == [1.0, 2.0]


# -------- rows in, rows out
def test_extra_and_reordered_columns_change_nothing(keyed: Any) -> None:
    frame = TABLE.assign(colour="red", weight=[{"kg": 1}, None])
    assert keyed.predict(frame[frame.columns[::-1]])["prediction"].tolist() == [10.0, 20.0]


@pytest.mark.parametrize("index", [[3, 3, 1, 3], list("baab"), pd.date_range("2026-01-31", periods=4)[::-1]])
def test_the_index_comes_back_as_it_was_sent(keyed: Any, index: Any) -> None:
    frame = TABLE.iloc[[1, 0, 0, 1]].set_axis(index, axis=0)
    answers = keyed.predict(frame)
    pd.testing.assert_index_equal(answers.index, frame.index)
    assert answers["prediction"].tolist() == [20.0, 10.0, 10.0, 20.0]


def test_no_rows_give_a_typed_table_without_rows(keyed: Any) -> None:
    some = keyed.predict(TABLE, params={"detail": True})
    none = keyed.predict(TABLE.head(0), params={"detail": True})
    assert none.empty
    pd.testing.assert_series_equal(none.dtypes, some.dtypes)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [(["no", "yes"], pd.Series(["text"]).dtype), ([0, 1], "Int64"), ([False, True], "boolean")],
)
def test_labels_keep_their_kind_beside_a_null(labels: list[Any], dtype: Any) -> None:
    table = pd.DataFrame({"group": [1, 1, 2, 2], "x": [0.0, 1, 0, 1], "y": [*labels, labels[1], labels[1]]})
    model = _load(metamodel.train(table, "group", "y", DecisionTreeClassifier(), holdout=0, n_jobs=1))
    answers = model.predict(pd.DataFrame({"group": [1, 1, 2, 3], "x": [0.0, 1, 0, 1]}))
    assert answers["prediction"].dtype == dtype
    assert answers["prediction"].iloc[:3].tolist() == [*labels, labels[1]]
    assert answers["prediction"].isna().tolist() == [False, False, False, True]


def test_one_row_alone_has_the_shape_of_one_row() -> None:
    table = pd.DataFrame({"group": [1, 1, 2, 2], "x": [0.0, 1, 0, 1], "y": ["a", "b", "c", "c"]})
    model = _load(metamodel.train(table, "group", "y", "decision_tree", holdout=0, n_jobs=1))
    answers = model.predict(pd.DataFrame({"group": [2], "x": [0.5]}), params={"predict_method": "predict_proba"})
    assert answers["prediction"].shape == (1,)
    assert answers[["probability_a", "probability_b", "probability_c"]].to_numpy().tolist() == [[0.0, 0.0, 1.0]]


def test_what_was_recorded_when_the_model_was_logged_holds_without_params() -> None:
    table = pd.DataFrame({"group": [1, 1, 2, 2], "x": [0.0, 1, 0, 1], "y": ["a", "b", "c", "c"]})
    result = metamodel.train(table, "group", "y", "decision_tree", holdout=0, n_jobs=1)
    info = metamodel.log_model(result, predict_method="predict_proba", detail=True, report=False)
    columns = ["prediction", "probability_a", "probability_b", "probability_c", "status"]
    columns += ["key", "level", "child_version", "error"]
    assert info.signature.outputs.input_names() == columns
    for model in (mlflow.pyfunc.load_model(info.model_uri), metamodel.load_model(info.model_uri)):
        assert model.predict(table).columns.tolist() == columns


# -------- threads
def test_threads_get_right_answers_from_a_cache_smaller_than_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"group": np.repeat(np.arange(60), 5), "x": random.normal(size=300)})
    table["y"] = table["group"] + table["x"]
    result = metamodel.train(table, "group", "y", "linear_regression", holdout=0, n_jobs=1, stack=False)
    model = _load(result)
    cache = ByteCache(result.manifest.counts["resident_bytes"] // 6)
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", cache)
    batches = [table.sample(8, random_state=i) for i in range(200)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(model.predict, batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert_allclose(answer["prediction"], batch["y"], rtol=1e-9)
    assert cache.stats()["evictions"] > 0
    assert cache.stats()["bytes"] <= cache.limit


def test_threads_that_ask_at_once_load_each_child_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"group": np.repeat([1, 2, 3], 2), "x": 0.0, "y": np.repeat([1.0, 2.0, 3.0], 2)})
    result = metamodel.train(table, "group", "y", Counted(), holdout=0, n_jobs=1, duplicates="keep")
    monkeypatch.setattr("metamodel.tracking.log_training.warn_of_missing_code", lambda *_: None)  # asks an interpreter
    model = _load(result, code_paths=edge_children.__file__)
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", ByteCache(2**20))
    Counted.loads.clear()
    start = threading.Barrier(8)

    def predict(_: int) -> list[float]:
        start.wait(timeout=100)
        return model.predict(table)["prediction"].tolist()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(predict, range(8))) == [table["y"].tolist()] * 8
    assert Counted.loads == {1.0: 1, 2.0: 1, 3.0: 1}


def test_a_missing_column_is_an_error_of_the_caller(keyed: Any) -> None:
    with pytest.raises(MlflowException, match=r"^The table lacks feature column 'x'") as caught:
        keyed.predict(TABLE.drop(columns=["x", "y"]))
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_unknown_groups_are_named_to_a_caller_in_the_same_process(keyed: Any) -> None:
    strangers = TABLE.assign(country=["Atlantis", "Lemuria"] * (len(TABLE) // 2))
    with pytest.raises(MlflowException, match=r"groups without a child model: .*Atlantis.*Lemuria.*leave") as caught:
        keyed.predict(strangers, params={"unknown": "error"})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert not isinstance(caught.value, PublicError)  # or a server that sets no variable would hand it on


def test_an_unknown_group_is_not_named_by_a_server(keyed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    with pytest.raises(
        MlflowException, match=r'^The batch has rows of groups .* the policy for these is "error"'
    ) as caught:
        keyed.predict(TABLE.assign(country="Atlantis"), params={"unknown": "error"})
    assert "Atlantis" not in caught.value.message


def test_a_server_names_no_column_that_may_be_the_value_of_a_row(keyed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    with pytest.raises(PublicError, match="lacks") as caught:
        keyed.predict(TABLE.rename(columns={"x": "987651.25"}))
    assert "987651" not in caught.value.message


# -------- what is in the logged model
def test_nothing_of_the_wrapper_is_pickled(keyed: Any) -> None:
    names = {path.name for path in _directory(keyed).rglob("*") if path.is_file()}
    assert {"MLmodel", "model_code.py", "manifest.json", "ledger.parquet", "00000.sqlite"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle"))]


def test_the_requirements_are_pinned_and_hold_what_predicting_needs(keyed: Any) -> None:
    lines = (_directory(keyed) / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines)
    assert {"mlflow", "scikit-learn", "pandas", "numpy", "pyarrow", "cloudpickle"} <= pinned.keys()
    assert pinned["mlflow"] == mlflow.__version__
    assert "metamodel" not in pinned


def test_the_input_example_is_answered(keyed: Any) -> None:
    assert set(keyed.predict(keyed.input_example)["status"]) == {"child"}


def test_the_code_travels_whole_with_the_model(keyed: Any) -> None:
    own = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    with zipfile.ZipFile(_directory(keyed) / "code" / "metamodel.zip") as packed:
        assert set(packed.namelist()) == {name for name in own if "__pycache__" not in name}
    assert [path.name for path in (_directory(keyed) / "code").iterdir()] == ["metamodel.zip"]


def _python(code: str, *arguments: str, cwd: Path, isolated: bool = False, **env: str) -> Any:
    imported: Imported = "isolated" if isolated else "others"
    done = forked_programs.run("-c", code, *arguments, cwd=cwd, env={**os.environ, **env}, imported=imported)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


FROM_ITS_OWN_CODE = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict(pd.DataFrame(json.loads(sys.argv[2])))
modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "metamodel"]
print(json.dumps([answers["prediction"].tolist(), sorted({module.__file__ for module in modules})]))
"""


@pytest.mark.slow
def test_the_model_loads_and_predicts_with_the_code_that_travelled_with_it(keyed: Any, tmp_path: Path) -> None:
    rows = TABLE.astype({"day": str, "at": str}).to_json(orient="records")
    predictions, files = _python(FROM_ITS_OWN_CODE, str(_directory(keyed)), rows, cwd=tmp_path, isolated=True)
    assert predictions == [10.0, 20.0]
    code = str(_directory(keyed) / "code" / "metamodel.zip")
    assert all(file.startswith(code) for file in files), files


WITHOUT_PICKLE = """
import json, sys
import mlflow, pandas as pd
frame = pd.DataFrame({"group": [1, 2], "x": [2.0, 2.0]})
said = []
for uri in sys.argv[1:]:
    try:
        said.append(mlflow.pyfunc.load_model(uri).predict(frame)["prediction"].tolist())
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
print(json.dumps(said))
"""


@pytest.mark.slow
@pytest.mark.tableless
def test_without_pickle_a_skops_model_predicts_and_another_is_refused_in_one_sentence(tmp_path: Path) -> None:
    table = pd.DataFrame({"group": [1, 1, 2, 2], "x": [0.0, 1, 0, 1], "y": [0.0, 1, 5, 6]})
    results = [
        metamodel.train(table, "group", "y", "linear_regression", codec=codec, holdout=0, n_jobs=1)
        for codec in ("skops", "cloudpickle", "joblib")
    ]
    uris = [metamodel.log_model(result, report=False).model_uri for result in results]
    allowed, *refused = _python(WITHOUT_PICKLE, *uris, cwd=tmp_path, MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false")
    assert allowed == pytest.approx([2.0, 7.0])
    assert [text.partition(" and ")[0] for text in refused] == [
        f"ForbiddenCodec: The children of this bundle are {codec} pickles" for codec in ("cloudpickle", "joblib")
    ]
    assert all('Train with codec="skops"' in text and "\n" not in text for text in refused)


# -------- hot groups
@pytest.mark.parametrize("how", ["model_config", "variable"])
def test_the_children_of_hot_groups_are_loaded_with_the_model(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    table = TABLE[["store", "x", "y"]]
    uri = metamodel.log_model(
        metamodel.train(table, "store", "y", "dummy", holdout=0, min_rows=1, n_jobs=1), report=False
    ).model_uri
    if how == "variable":
        monkeypatch.setenv("METAMODEL_PRELOAD", "2")
    model = mlflow.pyfunc.load_model(uri, model_config={"preload": 2} if how == "model_config" else None)
    assert model.unwrap_python_model().model.stats()["preload"]["loaded"] == 2
