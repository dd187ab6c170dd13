"""A directory is opened as what it holds; a challenger that is damaged leaves the champion answering."""

import warnings
from pathlib import Path

import pandas as pd
import pytest
from bundles import flip
from rolled_out import files, rolled_out, two_models, visitors

import metamodel
from metamodel.bundle.rollout.opening import open_model
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.exceptions import UnreadableBundle
from metamodel.flavor.load import load_model

Models = tuple[metamodel.MetaModel, metamodel.MetaModel]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return two_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("damage", ["manifest", "gone", "shard"])
def test_a_damaged_challenger_leaves_the_champion_answering(tmp_path: Path, models: Models, damage: str) -> None:
    options = {"mode": "ab", "fraction": 1.0, "entity": "customer"}
    path = rolled_out(tmp_path, *models, **options).path / "challenger"
    if damage == "manifest":
        flip(path / "manifest.json", 30)
    elif damage == "gone":
        path.rename(path.with_name("elsewhere"))
    else:
        for file in files(path):
            if file.suffix in (".sqlite", ".arrays"):
                file.write_bytes(b"no such thing" * 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        opened = load_model(path.parent)
        answers = opened.predict(visitors().dropna(), {"detail": True})
    expected = models[0].predict(visitors().dropna())
    touched = visitors().dropna()["shop"].isin([0, 1, 2]).to_numpy()
    assert set(answers["variant"][touched]) == {"challenger_failed"}
    pd.testing.assert_frame_equal(answers[list(expected)], expected, check_exact=True)


def test_a_bundle_is_a_meta_model_and_a_roll_out_is_one_of_two(tmp_path: Path, models: Models) -> None:
    path = rolled_out(tmp_path, *models).path
    assert isinstance(open_model(path), RolloutModel)
    assert type(open_model(models[0].path)) is metamodel.MetaModel


def test_another_champion_in_its_place_is_refused(tmp_path: Path, models: Models) -> None:
    path = rolled_out(tmp_path, *models).path
    (path / "champion").rename(path / "before")
    (path / "champion").symlink_to(models[1].path)
    with pytest.raises(UnreadableBundle, match="holds another champion"):
        open_model(path)
