"""A challenger beside a served model: opened once, refused where it does not fit."""

from pathlib import Path
from typing import Any

import pytest
from rolled_out import panel, trained, two_models

from metamodel.exceptions import InputError
from metamodel.serving.served_challenger import Challenge


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
