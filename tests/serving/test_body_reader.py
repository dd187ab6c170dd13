"""Reading a body apart from answering it: what is wrong with the params is said first, and no error is the server's."""

import json
import pickle
from pathlib import Path

import pytest
from serving import JSON, ROW, records

import metamodel
from metamodel.serving import body_reader
from metamodel.serving.scorer import Scorer

pytestmark = pytest.mark.tableless


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Scorer:
    return Scorer(metamodel.load_model(bundle), max_rows=500)


def test_wrong_params_are_said_before_a_column_that_is_missing(scorer: Scorer) -> None:
    lacking = {name: value for name, value in ROW.items() if name != "price"}
    body = {"dataframe_records": [lacking]}
    messages = [
        json.loads(scorer.answer_by_mlflow(json.dumps(sent).encode(), JSON).body)["message"]
        for sent in (body, {**body, "params": {"unknown": "marker-41c7"}})
    ]
    assert "lacks feature column 'price'" in messages[0]
    assert messages[1].startswith("unknown has a value that is unknown. Use one of: null, error, fallback.")


def test_a_reader_that_was_pickled_reads_the_same(scorer: Scorer) -> None:
    twin = pickle.loads(scorer.reader.pickled)
    for body in (records({}), records({"store": 1.5})):
        ours, theirs = (reader.read(body.encode(), JSON) for reader in (scorer.reader, twin))
        assert scorer.answer_reading(ours) == scorer.answer_reading(theirs)


def test_a_table_that_takes_more_memory_than_there_is_is_too_large(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(body_reader, "read_for_json", fail)
    reply = scorer.answer_by_mlflow(records({}).encode(), JSON)
    assert (reply.status, "opens to more than this server takes" in reply.body.decode()) == (413, True)
