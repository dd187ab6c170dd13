"""The parents answer the control group, the children all others, and every answer says which it is."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rolled_out import panel, rolled_out, trained, two_models, visitors

import metamodel
from metamodel.bundle.rollout.exploring_model import ExploringModel, exploring
from metamodel.exceptions import InputError
from metamodel.prediction.rollout.exploration import Exploration

PARENTS = {"unknown": "fallback", "pooled": False}

OPTIONS: dict[str, dict[str, Any]] = {
    "stacked": {},
    "not stacked": {"stack": False},
    "intervals": {"interval": 0.9},
    "blended": {"shrinkage": "equal"},
    "trees": {"estimator": "decision_tree"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> metamodel.MetaModel:
    return trained(tmp_path_factory.mktemp("model"), panel(), **PARENTS)


def of_control(model: metamodel.MetaModel, frame: pd.DataFrame, share: float) -> Any:
    exploration = Exploration.of(share, "customer", model.manifest.target.name)
    return exploration.control({"customer": frame["customer"]}, len(frame))


@pytest.mark.parametrize("kind", OPTIONS)
def test_control_rows_are_answered_as_rows_of_a_group_without_a_child(tmp_path: Path, kind: str) -> None:
    model = trained(tmp_path, panel(), **{**PARENTS, **OPTIONS[kind]})
    opened, frame = exploring(model, 0.3, "customer"), visitors()
    answers = opened.predict(frame, {"detail": True})
    control = of_control(model, frame, 0.3)
    assert 0 < control.sum() < len(frame)
    assert answers["variant"].tolist() == np.where(control, "control", "treated").tolist()
    assert set(answers.loc[control, "status"]) == {"global"}
    expected = model.predict(frame, {"detail": True})
    as_unknown = model.predict(frame.assign(shop=99), {"detail": True}).assign(key=expected["key"])
    expected[control] = as_unknown[control]
    pd.testing.assert_frame_equal(answers.drop(columns="variant"), expected)
    one_by_one = [opened.predict(frame.iloc[[i]])["prediction"].iloc[0] for i in range(len(frame))]
    np.testing.assert_allclose(one_by_one, answers["prediction"], rtol=1e-12)


def test_every_answer_says_whose_it_is_without_being_asked(model: metamodel.MetaModel) -> None:
    opened, frame = exploring(model, 0.3, "customer"), visitors()
    answers = opened.predict(frame)
    assert answers.columns.tolist() == ["prediction", "status", "variant"]
    assert [record["variant"] for record in opened.predict_records(frame)] == answers["variant"].tolist()
    counted = opened.stats()["variants"]
    assert (counted["control"], counted["treated"]) == tuple(
        2 * int((answers["variant"] == name).sum()) for name in ("control", "treated")
    )


def test_a_whole_batch_of_control_rows_or_of_none_is_answered(model: metamodel.MetaModel) -> None:
    opened, frame = exploring(model, 0.3, "customer"), visitors()
    control = of_control(model, frame, 0.3)
    assert set(opened.predict(frame[control])["variant"]) == {"control"}
    assert set(opened.predict(frame[~control])["variant"]) == {"treated"}
    assert set(opened.predict(frame.drop(columns="customer"))["variant"]) == {"treated"}
    assert opened.predict(frame.iloc[:0]).columns.tolist() == ["prediction", "status", "variant"]


def test_where_no_parent_can_answer_the_child_does(model: metamodel.MetaModel, tmp_path: Path) -> None:
    refusing = trained(tmp_path, panel(), **PARENTS, estimator="ridge", stack=False)
    opened, frame = exploring(refusing, 0.3, "customer"), visitors().assign(shop=1)
    assert isinstance(opened, ExploringModel)
    parents = opened._parents
    parents.route.__dict__["levels"] = ()  # as if their bytes were gone
    answers = opened.predict(frame)
    assert set(answers["variant"]) == {"treated", "control_failed"}
    assert set(answers["status"]) == {"child"}


def test_what_training_recorded_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    recorded = {**PARENTS, "explore": 0.3, "explore_entity": "customer:string"}
    table = panel().assign(customer="c")
    model = metamodel.MetaModel(
        metamodel.train(table, "shop", "y", "ridge", output_dir=tmp_path, n_jobs=1, **recorded).bundle_path
    )
    assert model.manifest.features.names == ["x", "z"]
    assert "variant" not in model.predict(visitors())
    assert exploring(model, 0) is model
    opened = exploring(model)
    assert of_control(model, visitors(), 0.3).sum() == (opened.predict(visitors())["variant"] == "control").sum()
    assert exploring(opened) is opened
    again = pickle.loads(pickle.dumps(opened))
    pd.testing.assert_frame_equal(again.predict(visitors()), opened.predict(visitors()))


def test_a_model_without_parents_and_a_rollout_are_refused(tmp_path: Path) -> None:
    champion, challenger = two_models(tmp_path)
    with pytest.raises(InputError, match=r"^explore=0\.1 lets parents answer, and this model has none\. Train it with"):
        exploring(champion, 0.1, "customer")
    both = rolled_out(tmp_path, champion, challenger, mode="ab", entity="customer")
    assert exploring(both) is both
    with pytest.raises(InputError, match=r"^explore takes one model, and this is a roll-out of two\."):
        exploring(both, 0.1, "customer")


def test_training_refuses_a_control_group_that_nobody_could_answer() -> None:
    with pytest.raises(InputError, match=r"^explore=0\.1 lets parents answer the control group, but unknown='null'"):
        metamodel.train(panel(), "shop", "y", explore=0.1, explore_entity="customer", n_jobs=1)
    with pytest.raises(InputError, match=r"^explore=0\.1 takes entities, and explore_entity names none"):
        metamodel.train(panel(), "shop", "y", explore=0.1, unknown="fallback", n_jobs=1)
