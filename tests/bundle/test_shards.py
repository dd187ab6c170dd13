"""What binds a shard's rows to what was written."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard_files import BLOBS, change, outcome, sealed

from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow, StoredFacts, proof_of
from metamodel.exceptions import CorruptBundle

pytestmark = pytest.mark.tableless


def test_a_shard_with_other_rows_is_not_the_one_that_the_manifest_names(tmp_path, shard):
    other = tmp_path / "other.sqlite"
    with ShardWriter(other) as writer:
        for key, blob in BLOBS.items():
            writer.add(ShardRow.of_child(key, 1, "", blob[::-1] if key != '["g1"]' else blob[1:] + b"x", len(blob) * 2))
        writer.add(ShardRow('["small"]', 1, "skipped", "min_rows: 1 usable row, 2 needed"))
        writer.add(ShardRow('["bad"]', 1, "failed", "error"))
    entry, stranger = sealed(shard), sealed(other)
    assert entry.size == stranger.size
    other.rename(shard)
    with pytest.raises(CorruptBundle, match=r"00000.sqlite is not the one that the manifest names. Load the model"):
        ShardReader(shard, entry).read('["g1"]')


def test_keys_that_change_places_are_found(shard):
    change(
        shard,
        """UPDATE children SET key = 'x' WHERE key = '["g1"]'""",
        """UPDATE children SET key = '["g1"]' WHERE key = '["g3"]'""",
        """UPDATE children SET key = '["g3"]' WHERE key = 'x'""",
    )
    opened = ShardReader(shard)
    assert [outcome(opened, key) for key in ('["g1"]', '["g3"]', '["g5"]')] == ["corrupt", "corrupt", BLOBS['["g5"]']]


@pytest.mark.parametrize("column", ["level = 0", "status = 'skipped'", "reason = 'x'", "resident = 1", "child = NULL"])
def test_every_word_of_a_row_is_proven(shard, column):
    change(shard, f"""UPDATE children SET {column} WHERE key = '["g1"]'""")
    assert outcome(ShardReader(shard), '["g1"]') == "corrupt"


@given(st.tuples(*[st.text(max_size=5), st.integers()] * 2, st.integers(), st.text(), st.text()))
def test_a_proof_is_the_digest_of_the_facts_as_json(parts):
    key, level, status, resident, size, reason, sha256 = parts
    facts = StoredFacts(key, level, status, reason, resident, size, sha256)
    assert proof_of(facts) == hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@pytest.mark.parametrize("odd", [None, b"x", 1.5])
def test_facts_of_a_kind_that_was_never_written_have_no_proof(odd):
    for place in range(7):
        facts = ["[1]", 1, "fitted", "", 10, 5, "ab"]
        facts[place] = odd
        with pytest.raises(TypeError):
            proof_of(StoredFacts(*facts))
