"""The meta-model: what notebooks, batch scoring and the pyfunc wrapper all call."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import InputError, InvalidKey, UnknownGroup
from metamodel.training.train import train

KEYS = ["country", "store"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "y"])
    frame.insert(0, "country", np.repeat(["FR", "FR", "DE"], 30))
    frame.insert(1, "store", np.repeat([7, 8, 7], 30))
    return frame


def fitted(table, estimator="linear_regression", **options):
    result = train(table, KEYS, "y", estimator, n_jobs=1, **options)
    return MetaModel(result.bundle_path, ByteCache(2**30))


@pytest.fixture(scope="module")
def model(table):
    return fitted(table, unknown="fallback", prune=False)


@pytest.mark.parametrize("key", [("FR", 7), ["FR", 7.0], (np.str_("FR"), np.int64(7))])
def test_a_child_is_found_by_every_form_of_its_key(model, table, key):
    rows = table.query("country == 'FR' and store == 7")
    expected = LinearRegression().fit(rows[["a", "b"]], rows["y"])
    np.testing.assert_allclose(model.child(key).predict(rows[["a", "b"]]), expected.predict(rows[["a", "b"]]))


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), Ridge()),
        GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=2),
        make_pipeline("passthrough", Ridge()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_child_takes_a_table_with_names_and_gives_the_models_answers(table, estimator):
    model = fitted(table, estimator)
    rows = table.query("country == 'DE'")
    own = model.child(("DE", 7)).predict(rows[["a", "b"]])
    np.testing.assert_allclose(own, model.predict(rows)["prediction"], rtol=1e-12)
    np.testing.assert_allclose(own, clone(estimator).fit(rows[["a", "b"]], rows["y"]).predict(rows[["a", "b"]]))


@pytest.mark.parametrize(("key", "rows"), [(("FR",), 60), ((), 90)])
def test_a_shorter_key_names_a_parent(model, table, key, rows):
    part = table.iloc[:rows]
    expected = LinearRegression().fit(part[["a", "b"]], part["y"])
    np.testing.assert_allclose(model.child(key).coef_, expected.coef_)


def test_a_child_belongs_to_its_caller(model, table):
    before = model.predict(table)["prediction"]
    model.child(("FR", 7)).coef_[:] = 0
    assert model.predict(table)["prediction"].equals(before)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (("FR", 9), UnknownGroup, r"No child model for group \('FR', 9\) \(6 known\). Train it"),
        (("FR", 7.5), InvalidKey, r"'store' holds integers; the float 7.5 is none. Send the value"),
        (("FR", None), InvalidKey, r"'store' is null. Fill it"),
        (("FR", 7, 1), InvalidKey, r"has 3 values, but there are 2 group columns \(country, store\)"),
    ],
)
def test_a_key_without_a_child_is_refused(model, key, error, message):
    with pytest.raises(error, match=message):
        model.child(key)


def test_without_parents_a_shorter_key_is_none(table):
    with pytest.raises(InvalidKey, match=r"has 1 values?, but there are 2 group columns"):
        fitted(table).child(("FR",))


def test_the_recorded_policy_holds_and_one_call_may_override_it(model, table):
    frame = table.iloc[:1].assign(store=99)
    assert model.predict(frame)["status"].tolist() == ["parent:1"]
    assert model.predict(frame, {"unknown": "null"})["status"].tolist() == ["unknown_group"]
    with pytest.raises(UnknownGroup, match=r"1 group without a child model: .* First: .*\('FR', 99\)"):
        model.predict(frame, {"unknown": "error"})


def test_params_that_were_recorded_with_the_model_hold_where_a_call_gives_none(model, table):
    recorded = MetaModel(model.bundle.path, defaults={"detail": True})
    assert ("key" in recorded.predict(table), "key" in recorded.predict(table, {"detail": False})) == (True, False)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"details": True}, r"Unknown predict params: details. There are: detail, predict_method, unknown"),
        ({"detail": "true"}, r"detail='true' is neither true nor false"),
        ({"predict_method": "score"}, r"predict_method='score' is unknown. Use one of: predict, predict_proba"),
    ],
)
def test_params_that_do_not_exist_are_refused(model, table, params, message):
    with pytest.raises(InputError, match=message):
        model.predict(table, params)


@pytest.mark.parametrize("data", [[1], {"a": [1]}, np.zeros((2, 2)), None], ids=lambda data: type(data).__name__)
def test_only_a_table_is_predicted(model, data):
    with pytest.raises(
        InputError, match=rf"predict takes a DataFrame \(of pandas, polars, Arrow \.\.\.\), not a {type(data).__name__}"
    ):
        model.predict(data)


def test_probabilities_come_with_the_labels(table):
    frame = table.assign(y=np.where(table["a"] > 0, np.where(table["country"] == "DE", "rare", "often"), "never"))
    answers = fitted(frame, LogisticRegression()).predict(frame, {"predict_method": "predict_proba"})
    probabilities = answers[["probability_never", "probability_often", "probability_rare"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.loc[table["country"] == "DE", "probability_often"] == 0).all()
    assert (
        probabilities.columns[probabilities.to_numpy().argmax(axis=1)] == "probability_" + answers["prediction"]
    ).all()


def test_the_stats_count_rows_by_status_and_the_caches_work(table):
    fresh = fitted(table, unknown="fallback", prune=False, stack=False)
    fresh.predict(table)
    fresh.predict(table.iloc[:10].assign(store=99))
    fresh.predict(table.iloc[:10].assign(store=7.5))
    stats = fresh.stats()
    assert stats["rows"] == {"child": 90, "parent:1": 10, "invalid_key": 10}
    assert (stats["fallback_rate"], stats["cache"]["entries"]) == (pytest.approx(10 / 110), 4)
    assert stats["seconds_reading"] > 0


def test_a_model_that_was_never_asked_has_stats(model):
    assert MetaModel(model.bundle.path).stats()["fallback_rate"] == 0


def test_threads_share_a_model(model, table):
    expected, wrong = model.predict(table), []

    def ask():
        for _ in range(20):
            if not model.predict(table).equals(expected):
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_never_hold_more_than_the_limit_and_the_stats_add_up(table):
    whole = fitted(table, stack=False)
    expected = whole.predict(table)
    limit = whole.stats()["cache"]["bytes"] * 2 // 3  # two of the three children
    crowded, wrong = MetaModel(whole.bundle.path, ByteCache(limit)), []

    def ask(first):
        for i in range(30):
            rows = slice(30 * ((first + i) % 3), 30 * ((first + i) % 3) + 30)
            right = crowded.predict(table.iloc[rows]).equals(expected.iloc[rows])
            if not right or crowded.stats()["cache"]["bytes"] > limit:
                wrong.append(rows)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    stats = crowded.stats()
    cache = stats["cache"]
    assert (wrong, stats["rows"], cache["hits"] + cache["misses"]) == ([], {"child": 8 * 30 * 30}, 8 * 30)
    assert cache["evictions"] > 0


def test_the_ledger_is_the_one_of_training(table):
    result = train(table, KEYS, "y", n_jobs=1)
    ledger = MetaModel(result.bundle_path).ledger
    pd.testing.assert_frame_equal(ledger, result.ledger, check_dtype=False)


def test_probabilities_that_the_children_do_not_have_are_refused(table):
    labelled = table.assign(y=np.where(table["a"] > 0, "high", "low"))
    with pytest.raises(InputError, match="needs children with predict_proba, which these have not"):
        fitted(labelled, "svm").predict(labelled, {"predict_method": "predict_proba"})


# --- copies


@pytest.mark.parametrize(
    "copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_a_copy_gives_the_same_answers(table, copied):
    path = train(table, KEYS, "y", "linear_regression", n_jobs=1).bundle_path
    model = MetaModel(path, ByteCache(12345), {"detail": True})

    twin = copied(model)

    pd.testing.assert_frame_equal(twin.predict(table), model.predict(table))
    assert (twin.bundle.cache.limit, twin.bundle.cache is model.bundle.cache) == (12345, False)


def test_a_copy_of_a_model_without_a_cache_of_its_own_shares_that_of_the_process(model):
    shared = MetaModel(model.bundle.path)
    assert copy.deepcopy(shared).bundle.cache is shared.bundle.cache


@pytest.mark.slow
def test_joblib_workers_predict(model, table):
    parts = [table[table["country"] == country] for country in ("FR", "DE")]
    answers = joblib.Parallel(n_jobs=2)(joblib.delayed(model.predict)(part) for part in parts)
    pd.testing.assert_frame_equal(pd.concat(answers), model.predict(table))


# --- calls that cannot be answered


@pytest.mark.parametrize("params", ["x", ["detail"], 7])
def test_params_that_are_no_mapping_are_refused(model, table, params):
    with pytest.raises(InputError, match=r"params is a (str|list|int). Give a dict, such as"):
        model.predict(table, params)


def test_columns_with_several_levels_are_refused(model, table):
    with pytest.raises(InputError, match=r"columns have 2 levels \(a MultiIndex\), the first is \('all', 'country'\)"):
        model.predict(pd.concat({"all": table}, axis=1))
