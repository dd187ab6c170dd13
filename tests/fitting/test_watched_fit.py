"""Early stopping by rows of the fit itself: how many rounds are found, on which rows, and what the child is."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor, HistGradientBoostingRegressor, StackingRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

import metamodel
from metamodel.exceptions import InputError
from metamodel.fitting.group import GroupData
from metamodel.fitting.watched_fit import asks_for_stopping, with_rounds_found
from metamodel.tables.split_groups import SplitGroups

CATBOOST = {"iterations": 400, "verbose": False, "allow_writing_files": False, "thread_count": 1}

STOPPING: dict[str, Any] = {
    "xgboost": XGBRegressor(n_estimators=400, early_stopping_rounds=5, n_jobs=1),
    "lightgbm": LGBMRegressor(n_estimators=400, early_stopping_round=5, verbose=-1, n_jobs=1),
    "lightgbm's other name": LGBMRegressor(n_estimators=400, early_stopping_rounds=5, verbose=-1, n_jobs=1),
    "catboost": CatBoostRegressor(early_stopping_rounds=5, **CATBOOST),
    "catboost's detector": CatBoostRegressor(od_type="Iter", od_wait=5, **CATBOOST),
    "pipeline": make_pipeline(StandardScaler(), XGBRegressor(n_estimators=400, early_stopping_rounds=5, n_jobs=1)),
}

CLASSIFIERS: dict[str, Any] = {
    "xgboost": ("xgboost", {"n_estimators": 300, "early_stopping_rounds": 4}),
    "lightgbm": (LGBMClassifier(n_estimators=300, early_stopping_round=4, verbose=-1, n_jobs=1), None),
    "catboost": (CatBoostClassifier(early_stopping_rounds=4, **CATBOOST), None),
}


@pytest.fixture(scope="module")
def taxi() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"zone": np.repeat(["n", "s"], 150), "miles": rng.uniform(0, 9, 300), "hour": rng.uniform(0, 24, 300)}
    )
    frame["fare"] = 3 + 2 * frame["miles"] + rng.normal(scale=3, size=300)
    return frame.assign(tip=np.select([frame["fare"] > 15, frame["fare"] < 8], ["big", "none"], "small"), weight=1.0)


def rounds_of(child: Any) -> int:
    last = child[-1] if hasattr(child, "steps") else child
    params = last.get_params()
    return int(params.get("iterations") or params["n_estimators"])


def trained(taxi: pd.DataFrame, target: str, estimator: Any, params: Any = None, **options: Any) -> metamodel.MetaModel:
    options = {"features": ["miles", "hour"], "n_jobs": 1, **options}
    result = metamodel.train(taxi, "zone", target, estimator, params, **options)
    assert result.ledger["status"].tolist() == ["fitted", "fitted"], result.ledger["error"].tolist()
    return metamodel.MetaModel(result.bundle_path)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", STOPPING)
def test_the_child_is_fitted_on_all_rows_with_the_rounds_that_were_found(
    taxi: pd.DataFrame, name: str, weighted: bool
) -> None:
    model = trained(taxi, "fare", STOPPING[name], sample_weight="weight" if weighted else None)
    child, rows = model.child("s"), taxi[taxi["zone"] == "s"]
    rounds = rounds_of(child)
    assert 1 < rounds < 200
    assert f"early_stopping: {rounds} rounds" in model.ledger["reason"].iloc[1]
    alone = clone(child).fit(rows[["miles", "hour"]], rows["fare"])
    np.testing.assert_allclose(model.predict(rows)["prediction"], alone.predict(rows[["miles", "hour"]]), rtol=1e-5)


@pytest.mark.parametrize("name", STOPPING)
def test_of_a_few_rows_no_rounds_are_found_and_the_ledger_says_so(taxi: pd.DataFrame, name: str) -> None:
    few = taxi.groupby("zone").head(9)
    model = trained(few, "fare", STOPPING[name], holdout=0)
    assert set(model.ledger["reason"]) == {"early_stopping: all 400 rounds, no rows to find fewer on"}


@pytest.mark.parametrize(
    "outside",
    [
        GridSearchCV(STOPPING["xgboost"], {"max_depth": [2, 3]}),
        make_pipeline(StandardScaler(), GridSearchCV(STOPPING["pipeline"], {"xgbregressor__max_depth": [2, 3]})),
        StackingRegressor([("booster", STOPPING["lightgbm"])]),
        BaggingRegressor(STOPPING["catboost"]),
    ],
    ids=["search", "pipelines", "stacking", "bagging"],
)
def test_early_stopping_where_nobody_can_give_rows_is_refused_before_any_fit(taxi: pd.DataFrame, outside: Any) -> None:
    with pytest.raises(InputError, match=r"Regressor inside \w+ asks for early stopping, but nobody can give it rows"):
        metamodel.train(taxi, "zone", "fare", outside, features=["miles", "hour"])


def test_a_category_of_the_table_is_one_to_lightgbm(taxi: pd.DataFrame) -> None:
    frame = taxi.assign(kind=pd.Categorical(np.arange(300) % 7))
    frame["fare"] += np.array([0, 9, 2, 7, 1, 5, 3])[frame["kind"].cat.codes]
    booster = LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1)
    result = metamodel.train(frame, "zone", "fare", booster, features=["kind"], n_jobs=1)
    model = metamodel.MetaModel(result.bundle_path)
    north = frame[frame["zone"] == "n"]
    by_hand = clone(booster).fit(north[["kind"]], north["fare"]).predict(north[["kind"]])
    assert (model.child("n").booster_.trees_to_dataframe()["decision_type"].dropna() == "==").all()
    np.testing.assert_allclose(model.predict(north)["prediction"], by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_of_several_labels_stop_early(taxi: pd.DataFrame, name: str) -> None:
    model = trained(taxi, "tip", *CLASSIFIERS[name])
    assert 1 <= rounds_of(model.child("n")) < 200
    assert set(model.predict(taxi)["prediction"]) == {"big", "none", "small"}


def group(n: int, times: Any = None) -> GroupData:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 2))
    return GroupData(("a",), x, x[:, 0] + rng.normal(size=n), rng.integers(0, 2**64, n, dtype=np.uint64), times)


class Watching(XGBRegressor):
    """Remembers what it watched."""

    seen: ClassVar[list[Any]] = []

    def fit(self, X: Any, y: Any, **options: Any) -> Any:
        self.seen.append((X, options.get("eval_set")))
        return super().fit(X, y, **options)


def test_no_watched_row_belongs_with_a_fitted_one() -> None:
    ids = pd.DataFrame({"car": np.arange(50) % 9})
    rows = replace(group(50), split_groups=SplitGroups.of(ids, "car", random_state=0))
    Watching.seen.clear()
    with_rounds_found(Watching(n_estimators=50, early_stopping_rounds=3, n_jobs=1), rows)
    [(fitted, [(watched, _)])] = Watching.seen
    car_of = dict(zip(map(tuple, rows.x), ids["car"], strict=True))
    assert not {car_of[tuple(row)] for row in fitted} & {car_of[tuple(row)] for row in watched}


@pytest.mark.parametrize("by_time", [False, True])
def test_watched_rows_are_rows_of_the_fit_and_the_latest_where_there_is_a_time(by_time: bool) -> None:
    rows = group(50, np.arange(50)[::-1].copy() if by_time else None)
    Watching.seen.clear()
    found = with_rounds_found(Watching(n_estimators=50, early_stopping_rounds=3, n_jobs=1), rows)
    [(fitted, [(watched, _)])] = Watching.seen
    apart = np.vstack([fitted, watched])
    assert len(apart) == 50
    assert sorted(map(tuple, apart)) == sorted(map(tuple, rows.x))
    assert 1 <= len(watched) <= 20
    if by_time:
        assert watched.tolist() == rows.x[:10].tolist()
    assert found.early_stopping_rounds is None


def test_of_few_rows_none_is_watched_and_all_rounds_are_made(taxi: pd.DataFrame) -> None:
    few = taxi.groupby("zone").head(9)
    model = trained(few, "fare", STOPPING["xgboost"].set_params(n_estimators=12), holdout=0)
    assert rounds_of(model.child("n")) == 12


@pytest.mark.parametrize(
    "estimator",
    [XGBRegressor(), LGBMRegressor(), CatBoostRegressor(), HistGradientBoostingRegressor(early_stopping=True)],
    ids=lambda one: type(one).__name__,
)
def test_who_does_not_ask_or_watches_by_itself_is_fitted_as_it_is(estimator: Any) -> None:
    assert not asks_for_stopping(estimator)


def test_rows_that_judge_are_never_watched(taxi: pd.DataFrame) -> None:
    Watching.seen.clear()
    estimator = Watching(n_estimators=30, early_stopping_rounds=3, n_jobs=1)
    result = metamodel.train(taxi, "zone", "fare", estimator, features=["miles", "hour"], n_jobs=1)
    assert result.ledger["holdout_rmse"].notna().all()
    counting, judged = Watching.seen[0], Watching.seen[1]
    rows = {tuple(row) for row in np.asarray(counting[0])} | {tuple(row) for row in np.asarray(counting[1][0][0])}
    assert rows == {tuple(row) for row in np.asarray(judged[0])}
    assert len(rows) < 150
