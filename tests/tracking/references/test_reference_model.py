"""A meta-model that refers: what it answers, shows and keeps."""

from pathlib import Path

import pandas as pd
import pytest

import metamodel
from metamodel.bundle.ledger_queries import who_answers
from metamodel.bundle.reader import Bundle
from metamodel.bundle.writer import finish_bundle
from metamodel.exceptions import ChildUnavailable
from metamodel.report.page_content import Facts
from metamodel.training.build_stacks import stack_bundle
from metamodel.training.earlier_children import Starts


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
