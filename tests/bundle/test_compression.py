"""Compressed children: the same children, read back to the last bit."""

import sys
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from shard_files import blob_of
from sklearn.linear_model import Ridge

from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import (
    UnreadableBundle,
)
from metamodel.training.train import train

pytestmark = pytest.mark.usefixtures("empty_process_cache")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """A bundle with enough children to be compressed, and the table it was trained on."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60 * 5, 3)), columns=["a", "b", "y"]).assign(g=np.repeat(range(60), 5))
    path = tmp_path_factory.mktemp("bundle") / "compressed"
    return train(frame, "g", "y", "ridge", holdout=0, output_dir=path, n_jobs=1).bundle_path, frame


def test_many_children_are_compressed_and_answer_as_they_did(compressed):
    path, frame = compressed
    model = MetaModel(path, ByteCache(2**30))
    expected = [Ridge().fit(rows[["a", "b"]], rows["y"]).predict(rows[["a", "b"]]) for _, rows in frame.groupby("g")]
    np.testing.assert_allclose(model.predict(frame)["prediction"], np.concatenate(expected), rtol=1e-12)
    assert model.manifest.compression == "zstd"


def test_digests_are_those_of_the_childrens_own_bytes(compressed):
    path, _ = compressed
    ledger = Bundle(path).ledger
    blobs = [blob_of(path, f"[{g}]") for g in ledger["g"]]
    assert ledger["sha256"].tolist() == [sha256(blob).hexdigest() for blob in blobs]
    assert ledger["bytes"].tolist() == [len(blob) for blob in blobs]


def test_few_children_are_stored_as_they_are(whole):
    assert Bundle(whole).manifest.compression is None


def test_without_zstandard_a_compressed_bundle_is_refused(compressed, whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    Bundle(whole)
    with pytest.raises(UnreadableBundle, match=r"compressed, and the package zstandard is not installed. Install"):
        Bundle(compressed[0])
