"""A challenger beside a served model: opened once, refused where it does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from rolled_out import panel, trained, two_models, visitors

from metamodel.exceptions import InputError
from metamodel.serving.scorer import Scorer
from metamodel.serving.served_challenger import Challenge, ControlGroup


def test_both_models_stand_behind_one_predict(tmp_path: Path) -> None:
    champion, challenger = two_models(tmp_path)
    opened = Challenge(str(challenger.path), ["customer"], {"mode": "ab", "fraction": 1.0}).beside(champion, "sales/1")
    row = panel().head(1)
    for customer, model in (("c", challenger), (None, champion)):
        answer = opened.predict(row.assign(customer=customer))
        assert answer["prediction"].tolist() == model.predict(row)["prediction"].tolist()
    assert opened.rollout.salt == challenger.digest[:12]
    assert opened.rollout.champion == {"uri": "sales/1", "name": "sales", "version": "1", "digest": champion.digest}
    assert opened.logged is None


def test_a_challenger_with_other_features_is_refused(tmp_path: Path) -> None:
    champion = trained(tmp_path / "a", panel())
    other = trained(tmp_path / "b", panel(), features=["x"])
    with pytest.raises(InputError, match="the challenger has other features"):
        Challenge(str(other.path)).beside(champion, "")


@pytest.mark.parametrize("choices", [{"mode": "blue"}, {"mode": "ab"}, {"fraction": 7}])
def test_choices_that_cannot_be_are_refused_before_a_model_is_opened(choices: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"is unknown|needs units|is no share"):
        Challenge("nowhere", None, choices)


def test_a_served_control_group_is_answered_by_parents_in_every_form_of_a_request(tmp_path: Path) -> None:
    model = trained(tmp_path, panel(), unknown="fallback", pooled=False)
    group = ControlGroup(0.3, ["customer"])
    opened = group.beside(model, "sales/1")
    scorer, frame = Scorer(opened, 1000), visitors(60)
    expected = opened.predict(frame)
    assert {"control", "treated"} == set(expected["variant"])
    records = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    plain = json.dumps({"dataframe_records": records}).encode()
    request = scorer.read(plain, "application/json")
    assert request is not None
    csv = frame.to_csv(index=False).encode()
    for reply in (scorer.answer(request), scorer.answer_by_mlflow(csv, "text/csv")):
        answered = json.loads(reply.body)["predictions"]
        assert [answer["variant"] for answer in answered] == expected["variant"].tolist()
        assert [answer["prediction"] for answer in answered] == pytest.approx(expected["prediction"].tolist())
    assert group.words == " (parents answer 0.3 of the entities)"
    assert ControlGroup(0.0).beside(model, "") is model
