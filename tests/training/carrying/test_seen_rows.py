"""Where no time says which rows a child has seen, hashes do: in an update it is judged on all others."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.bundle.carry.seen import SEEN_NAME, read_seen
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import InputError
from metamodel.lifecycle.group_rollback import write_with_group_of

CHANGED = (3, 4)


def table(rows: int, shops: int = 6) -> pd.DataFrame:
    """Give every shop so many rows, always the same first ones; from the 40th on two of them follow another line."""
    parts = []
    for shop in range(shops):
        x = np.random.default_rng(shop).normal(size=(200, 3))
        slope = np.where((np.arange(200) >= 40) & (shop in CHANGED), -3.0, 1.0)
        parts.append(
            pd.DataFrame({"area": "N", "shop": shop, "x": x[:, 0], "y": shop + slope * x[:, 0] + x[:, 1]})[:rows]
        )
    return pd.concat(parts, ignore_index=True)


def trained(frame: pd.DataFrame, **options: Any) -> metamodel.TrainingResult:
    return metamodel.train(frame, ["area", "shop"], "y", "ridge", features=["x"], n_jobs=1, **options)


def seen_of(result: metamodel.TrainingResult) -> dict[str, list[int]]:
    return {key: hashes.tolist() for key, hashes in read_seen(MetaModel(result.bundle_path).bundle).items()}


@pytest.fixture(scope="module")
def before() -> metamodel.TrainingResult:
    return trained(table(40))


def test_the_child_before_is_judged_on_the_rows_that_it_has_not_seen(before: metamodel.TrainingResult) -> None:
    shuffled = table(52).sample(frac=1, random_state=0).astype({"shop": "int32"})
    after = metamodel.update(before.bundle_path, shuffled, retrain="all").ledger.set_index("shop")
    assert after["fresh_rows"].tolist() == [12] * 6
    assert (after.loc[list(CHANGED), "decision"] == "replaced").all()
    assert set(after["decided_by"]) == {"pooled"}


def test_a_table_of_the_same_rows_has_no_fresh_ones(before: metamodel.TrainingResult) -> None:
    again = pd.concat([table(40), table(40)], ignore_index=True)
    after = metamodel.update(before.bundle_path, again, retrain="all").ledger
    assert set(after["fresh_rows"]) == {0}
    assert set(after["decision"]) == {"no_fresh_rows"}


def test_rows_are_known_again_when_a_null_elsewhere_makes_floats_of_a_column_of_integers() -> None:
    whole = table(40).assign(x=lambda frame: (frame["x"] * 100).round().astype(int))
    more = pd.DataFrame({"area": "N", "shop": [5, 9], "x": [7.0, None], "y": 1.5})
    after = metamodel.update(trained(whole).bundle_path, pd.concat([whole, more]), retrain="all").ledger
    assert after.set_index("shop")["fresh_rows"].to_dict() == {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 1, 9: 0}


def test_what_a_child_has_seen_goes_with_it(before: metamodel.TrainingResult) -> None:
    first, second = seen_of(before), metamodel.update(before.bundle_path, table(52), retrain_list=[("N", 3)])
    after = seen_of(second)
    assert second.ledger.set_index("shop")["status"].to_dict() == {3: "fitted"} | dict.fromkeys(
        [0, 1, 2, 4, 5], "carried"
    )
    assert {key: hashes for key, hashes in after.items() if key != '["N",3]'} == {
        key: hashes for key, hashes in first.items() if key != '["N",3]'
    }
    assert len(after['["N",3]']) == 52
    assert set(first['["N",3]']) < set(after['["N",3]'])


def test_a_child_that_wins_has_still_not_seen_the_rows_that_it_won_on(before: metamodel.TrainingResult) -> None:
    after = metamodel.update(before.bundle_path, table(52), retrain="all", evidence="own")
    kept = after.ledger.set_index("shop")["decision"] == "incumbent_kept"
    assert {len(seen_of(after)[f'["N",{shop}]']) for shop in kept.index[kept]} == {40}
    later = metamodel.update(after.bundle_path, table(60), retrain="all").ledger.set_index("shop")
    assert set(later.loc[kept, "fresh_rows"]) == {20}
    assert set(later.loc[~kept, "fresh_rows"]) == {8}


def test_a_group_that_is_rolled_back_has_seen_what_its_earlier_child_had(
    before: metamodel.TrainingResult, tmp_path: Path
) -> None:
    after = metamodel.update(before.bundle_path, table(52), retrain="all", challenge=False)
    present, earlier = MetaModel(after.bundle_path), MetaModel(before.bundle_path)
    path = write_with_group_of(present, earlier, ("N", 2), "1", tmp_path / "bundle")
    sizes = {key: len(hashes) for key, hashes in read_seen(MetaModel(path).bundle).items()}
    assert sizes == {f'["N",{shop}]': 40 if shop == 2 else 52 for shop in range(6)}


def test_parents_remember_the_rows_of_all_their_groups_and_rows_without_a_target_are_nobody_s() -> None:
    frame = table(30)
    frame.loc[0, "y"] = None
    seen = seen_of(trained(frame, unknown="fallback", prune=False, pooled=False))
    sizes = {key: len(hashes) for key, hashes in seen.items()}
    assert sizes == {"[]": 179, '["N"]': 179, **{f'["N",{shop}]': 30 - (shop == 0) for shop in range(6)}}
    assert set(seen["[]"]) == set(seen['["N"]']) == {one for key, rows in seen.items() if "," in key for one in rows}


@pytest.mark.parametrize(
    ("options", "remembered"),
    [
        ({}, True),
        ({"seen": False}, False),
        ({"keep_rows": False}, False),
        ({"keep_rows": False, "seen": True}, True),
        ({"time_column": "x"}, False),
    ],
    ids=["by default", "not asked for", "no rows", "no rows but hashes", "a time tells"],
)
def test_hashes_are_kept_where_no_time_tells_and_nobody_forbids_it(options: dict[str, Any], remembered: bool) -> None:
    frame = table(20).assign(z=1.0)
    result = metamodel.train(frame, "shop", "y", "ridge", features=["z"], n_jobs=1, **options)
    assert (SEEN_NAME in result.manifest.files) is remembered


def test_hashes_beside_a_time_column_are_refused() -> None:
    with pytest.raises(InputError, match=r"seen=True tells new rows by hashes .* time_column 'x' tells them"):
        trained(table(20).assign(t=1), time_column="x", seen=True)
