"""Estimators that hand `predict` on, parameters that name features, and CatBoost: trained, asked, served as JSON."""

import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC
from xgboost import XGBRegressor

import metamodel
from metamodel.exceptions import UnknownEstimator
from metamodel.fitting.cloning import cloneable
from metamodel.serving.scorer import Scorer

CATBOOST = {"iterations": 15, "verbose": False, "allow_writing_files": False, "thread_count": 1}

STACKING = StackingRegressor([("linear", Ridge()), ("trees", ExtraTreesRegressor(4, random_state=1))], cv=2)

NUMBERS = ["km", "age"]


@pytest.fixture(scope="module")
def cars() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "dealer": np.repeat([10, 20], 90),
            "km": rng.uniform(0, 200, 180),
            "age": rng.integers(0, 15, 180),
            "fuel": rng.choice(["petrol", "diesel", "gas"], 180),
        }
    )
    price = 40 - frame["km"] / 10 - frame["age"] + (frame["fuel"] == "gas") * 9 + rng.normal(size=180)
    segment = np.select([price > 25, price < 10], ["upper", "budget"], "middle")
    return frame.assign(price=price, dear=price > 20, segment=segment)


def served(model: metamodel.MetaModel, rows: pd.DataFrame, **params: Any) -> list[dict[str, Any]]:
    """Ask as `metamodel serve` does, by the way that takes these children."""
    scorer = Scorer(model, max_rows=1000)
    body = {"dataframe_records": json.loads(rows.to_json(orient="records")), **({"params": params} if params else {})}
    reply = scorer.answer_by_mlflow(json.dumps(body).encode(), "application/json")
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


def asked_alone(estimator: Any, cars: pd.DataFrame, target: str, features: list[str]) -> np.ndarray:
    """What the estimator says without us: fitted on one dealer's frame."""
    own = cars[cars["dealer"] == 10]
    return clone(estimator).fit(own[features], own[target]).predict(own[features]).reshape(-1)


def trained(cars: pd.DataFrame, target: str, estimator: Any, params: Any = None, **options: Any) -> metamodel.MetaModel:
    result = metamodel.train(cars, "dealer", target, estimator, params, n_jobs=1, **options)
    assert result.ledger["status"].tolist() == ["fitted", "fitted"], result.ledger["error"].tolist()
    return metamodel.MetaModel(result.bundle_path)


@pytest.mark.parametrize(
    ("target", "estimator"),
    [
        ("price", STACKING),
        ("price", make_pipeline(MinMaxScaler(), STACKING)),
        ("price", GridSearchCV(STACKING, {"linear__alpha": [1.0, 5.0]}, cv=2)),
        ("dear", StackingClassifier([("linear", LogisticRegression())], cv=2)),
        ("segment", GridSearchCV(SelfTrainingClassifier(LogisticRegression(max_iter=500)), {"threshold": [0.7]}, cv=2)),
        ("price", HistGradientBoostingRegressor(max_iter=9, monotonic_cst={"km": -1})),
        ("price", HistGradientBoostingRegressor(max_iter=9, categorical_features=["age"])),
        ("dear", HistGradientBoostingClassifier(max_iter=9, interaction_cst=[[0], [1]], monotonic_cst={"age": -1})),
        ("price", XGBRegressor(n_estimators=9, n_jobs=1, monotone_constraints={"km": -1})),
        ("price", XGBRegressor(n_estimators=9, n_jobs=1, interaction_constraints=[["km"], ["age"]])),
        ("price", LGBMRegressor(n_estimators=9, n_jobs=1, verbose=-1, monotone_constraints=[-1, 0])),
        ("price", CatBoostRegressor(monotone_constraints={"km": -1}, **CATBOOST)),
        ("price", CatBoostRegressor(monotone_constraints=[-1, 0], **CATBOOST)),
        ("segment", CatBoostClassifier(**CATBOOST)),
        ("dear", CatBoostClassifier(**CATBOOST)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.filterwarnings(
    "ignore::UserWarning:sklearn"
)  # of LightGBM in a column transformer, and of unlabelled rows
def test_children_answer_as_the_estimator_alone(cars: pd.DataFrame, target: str, estimator: Any) -> None:
    unfitted = pickle.dumps(estimator)
    model = trained(cars, target, estimator, features=NUMBERS)
    rows = cars[cars["dealer"] == 10]
    expected = asked_alone(cloneable(estimator), cars, target, NUMBERS)
    found = model.predict(rows)["prediction"]
    if target == "price":
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        np.testing.assert_allclose([row["prediction"] for row in served(model, rows)], expected, rtol=1e-9)
    else:
        assert found.tolist() == expected.tolist()
        assert [row["prediction"] for row in served(model, rows)] == expected.tolist()
    assert pickle.dumps(estimator) == unfitted


@pytest.mark.parametrize("form", ["object", "class", "path", "pipeline"])
def test_catboost_takes_its_categories_by_name(cars: pd.DataFrame, form: str) -> None:
    params = {"cat_features": ["fuel"], **CATBOOST}
    estimator = CatBoostRegressor(**params)
    given: Any = {
        "object": (estimator, None),
        "class": (CatBoostRegressor, params),
        "path": ("catboost.CatBoostRegressor", params),
        "pipeline": (make_pipeline("passthrough", estimator), None),
    }[form]
    model = trained(cars, "price", *given, features=["km", "fuel"])
    rows = cars[cars["dealer"] == 10]
    expected = asked_alone(cloneable(estimator), cars, "price", ["km", "fuel"])
    np.testing.assert_allclose(model.predict(rows)["prediction"], expected, rtol=1e-9)
    never_seen = served(model, rows.head(2).assign(fuel=["petrol", "hydrogen"]))
    assert [row["status"] for row in never_seen] == ["child", "child"]
    assert estimator.get_params()["cat_features"] == ["fuel"]


def test_several_classes_of_catboost_have_their_probabilities(cars: pd.DataFrame) -> None:
    model = trained(cars, "segment", CatBoostClassifier(**CATBOOST), features=NUMBERS)
    answers = model.predict(cars, {"predict_method": "predict_proba"})
    columns = [f"probability_{name}" for name in ("budget", "middle", "upper")]
    np.testing.assert_allclose(answers[columns].sum(axis=1), 1.0, rtol=1e-9)
    most = answers[columns].idxmax(axis=1).str.removeprefix("probability_")
    assert most.tolist() == answers["prediction"].tolist()
    assert model.ledger["holdout_accuracy"].min() > 0.5


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("hist_gradient_boosting", {"monotonic_cst": {"km": -1}, "categorical_features": ["fuel"]}),
        ("hist_gradient_boosting", {"monotonic_cst": {"km": -1}}),
        ("xgboost", {"monotone_constraints": {"km": -1}, "n_estimators": 20}),
    ],
)
def test_named_estimators_take_constraints_by_name_beside_texts(
    cars: pd.DataFrame, name: str, params: dict[str, Any]
) -> None:
    model = trained(cars, "price", name, params, features=["km", "age", "fuel"])
    free = trained(cars, "price", name, features=["km", "age", "fuel"])
    line = pd.DataFrame({"dealer": 20, "km": np.linspace(0, 200, 80), "age": 4, "fuel": "diesel"})
    assert (np.diff(model.predict(line)["prediction"]) <= 1e-6).all()
    assert (np.diff(free.predict(line)["prediction"]) > 1e-6).any()


def test_probabilities_of_a_stacking_with_a_final_estimator_that_has_none_are_refused(cars: pd.DataFrame) -> None:
    estimator = StackingClassifier([("linear", LogisticRegression())], final_estimator=SVC(), cv=2)
    model = trained(cars, "dear", estimator, features=NUMBERS)
    with pytest.raises(metamodel.InputError, match="needs children with predict_proba, which these have not"):
        model.predict(cars, {"predict_method": "predict_proba"})


@pytest.mark.parametrize("estimator", [MinMaxScaler(), make_pipeline(MinMaxScaler()), GridSearchCV(MinMaxScaler(), {})])
def test_what_could_never_predict_is_still_refused(cars: pd.DataFrame, estimator: Any) -> None:
    with pytest.raises(UnknownEstimator, match="has no method 'predict', so it is no estimator"):
        metamodel.train(cars, "dealer", "price", estimator, features=NUMBERS)


def test_features_may_have_the_names_of_answers(cars: pd.DataFrame) -> None:
    names = {"km": "status", "age": "prediction", "fuel": "error"}
    named = cars.rename(columns=names)
    model = trained(named, "price", "decision_tree", features=list(names.values()), random_state=3)
    expected = trained(cars, "price", "decision_tree", features=list(names), random_state=3).predict(cars)
    assert model.predict(named)["prediction"].tolist() == expected["prediction"].tolist()
    assert [row["prediction"] for row in served(model, named)] == expected["prediction"].tolist()
    scored = metamodel.score(named, model, params={"detail": True}, prefix="said_")
    assert scored["said_prediction"].tolist() == expected["prediction"].tolist()
    pd.testing.assert_frame_equal(scored[named.columns], named)


@pytest.mark.spark
def test_a_dot_or_a_backtick_in_names_is_nothing_to_spark(spark: Any, cars: pd.DataFrame) -> None:
    odd = cars.rename(
        columns={"dealer": "sold.by", "km": "km.total", "age": "status", "price": "net.price", "fuel": "f`"}
    )
    roles = {"group_by": "sold.by", "target": "net.price", "features": ["km.total", "status"], "unknown": "fallback"}
    roles |= {"sample_weight": "a.weight", "holdout": 0, "n_jobs": 1}
    table = spark.createDataFrame(odd.assign(**{"a.weight": 1.0}))
    result = metamodel.train(table, engine="spark", **roles)
    expected = metamodel.train(odd.assign(**{"a.weight": 1.0}), **roles)
    assert result.ledger["status"].tolist() == expected.ledger["status"].tolist()
    scored = metamodel.score(table, result.bundle_path, engine="spark", prefix="said.")
    assert scored.columns == [*table.columns, "said.prediction", "said.status"]
    found = scored.toPandas().sort_values(["sold.by", "km.total"])
    answers = metamodel.score(odd, expected.bundle_path, prefix="said.").sort_values(["sold.by", "km.total"])
    np.testing.assert_allclose(found["said.prediction"], answers["said.prediction"], rtol=1e-9)
    pd.testing.assert_series_equal(
        found["f`"].reset_index(drop=True), answers["f`"].reset_index(drop=True), check_dtype=False
    )
