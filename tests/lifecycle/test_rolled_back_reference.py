"""A group that is rolled back is compared with what its earlier child was fitted on."""

from pathlib import Path

import numpy as np
from monitored import weeks

import metamodel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.lifecycle.group_rollback import write_with_group_of


def test_the_reference_of_the_one_group_is_the_earlier_one(tmp_path: Path) -> None:
    def trained(seed: int) -> metamodel.MetaModel:
        table = weeks(4, seed, shops=4)
        names = ["price", "stock"]
        return metamodel.MetaModel(metamodel.train(table, "shop", "sales", features=names, n_jobs=1).bundle_path)

    earlier, present = trained(1), trained(2)

    path = write_with_group_of(present, earlier, (2,), "1", tmp_path / "bundle")

    (keys, after), before, source = (read_drift(one.bundle) for one in (metamodel.MetaModel(path), present, earlier))
    assert sorted(keys) == sorted(before[0])
    for i, key in enumerate(keys):
        other_keys, other = source if key == "[2]" else before
        assert np.array_equal(after.edges[i], other.edges[other_keys.index(key)])
    places = [other_keys.index("[2]") for other_keys, _ in (before, source)]
    assert not np.array_equal(before[1].edges[places[0]], source[1].edges[places[1]])
