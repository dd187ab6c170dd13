"""A roll-out's alias moves to more units, back, or to the challenger; whatever else is asked is refused."""

from pathlib import Path

import pytest
from command_line import run
from rolled_out import alias_of, panel, results, versions

import metamodel
from metamodel.exceptions import GateFailed, InputError
from metamodel.lifecycle.rollouts.moves import end_rollout, promote_challenger, raise_fraction


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[metamodel.TrainingResult]:
    """Two trainings, of which each test registers versions of its own."""
    return results(tmp_path_factory.mktemp("trainings"), panel(), panel(shift=5.0, shifted=3))


@pytest.fixture
def sales(trainings: list[metamodel.TrainingResult]) -> str:
    return versions(*trainings)


def test_a_roll_out_that_ends_leaves_the_champion(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    metamodel.rollout(champion, f"models:/{sales}/2", "ab", 0.5, "customer_id", register=sales, alias="champion")
    event, moved = end_rollout(champion)
    assert moved
    assert event is not None
    assert (event.version, event.replaced, alias_of(sales)) == ("1", "3", "1")
    with pytest.raises(InputError, match="which is no roll-out"):
        end_rollout(champion)


def test_a_challenger_without_its_gate_is_not_promoted_where_one_is_asked_for(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    metamodel.rollout(champion, f"models:/{sales}/2", register=sales, alias="champion")
    with pytest.raises(GateFailed, match="gate"):
        promote_challenger(champion, require_gate=True)
    assert alias_of(sales) == "3"


def test_the_fraction_of_a_canary_does_not_fall(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    metamodel.rollout(champion, f"models:/{sales}/2", "canary", 0.5, "customer_id", register=sales, alias="champion")
    with pytest.raises(InputError, match=r"has the fraction 0\.5 already"):
        raise_fraction(champion, 0.5)


def test_the_shadow_has_no_fraction_to_raise(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    metamodel.rollout(champion, f"models:/{sales}/2", register=sales, alias="champion")
    with pytest.raises(InputError, match="which has no fraction to raise"):
        raise_fraction(champion, 0.5)


def test_a_version_is_no_alias_to_move(sales: str) -> None:
    with pytest.raises(InputError, match="names no alias"):
        end_rollout(f"models:/{sales}/1")


def test_what_would_leave_one_of_both_models_out_is_refused(sales: str) -> None:
    champion = f"models:/{sales}@champion"
    metamodel.rollout(champion, f"models:/{sales}/2", register=sales, alias="champion")
    with pytest.raises(InputError, match="of two models, which cannot be given one group's earlier child"):
        metamodel.rollback(sales, 1, group="3")
    assert alias_of(sales) == "3"
    packed = run("pack", champion, "--output", "nowhere", "--data", "store_sales", "--register", sales)
    assert (packed.exit_code, "cannot be stacked" in packed.stderr) == (2, True), packed.output


def test_inspect_says_that_there_are_two(sales: str) -> None:
    metamodel.rollout(f"models:/{sales}/1", f"models:/{sales}/2", "ab", 0.5, "customer", register=sales)
    shown = run("inspect", f"models:/{sales}/3")
    assert f"ab, 0.5 of the units: models:/{sales}/2 beside this model" in shown.stdout


def test_an_update_goes_on_from_the_champion_of_a_roll_out(sales: str, tmp_path: Path) -> None:
    metamodel.rollout(f"models:/{sales}@champion", f"models:/{sales}/2", register=sales, alias="champion")
    updated = metamodel.update(f"models:/{sales}@champion", panel(), retrain="failed", output_dir=tmp_path / "next")
    model, champion = metamodel.MetaModel(updated.bundle_path), metamodel.load_model(f"models:/{sales}/1")
    assert model.predict(panel())["prediction"].equals(champion.predict(panel())["prediction"])
