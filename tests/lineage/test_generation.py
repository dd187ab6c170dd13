"""The rows that a version adds to a history."""

from dataclasses import replace

import pyarrow as pa
import pytest
from histories import generations

from metamodel.lineage.generation import (
    Generation,
    children_rows,
    lineage_rows,
    named_children,
    version_row,
    with_carried,
)
from metamodel.lineage.table_schemas import CHILDREN, LINEAGE, VERSIONS

NOTHING = pa.array([], pa.string())


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Generation]:
    return generations(tmp_path_factory.mktemp("bundles"))


def test_every_row_of_the_ledger_becomes_one_in_the_order_of_its_key(three):
    rows = lineage_rows(three[1])
    assert rows.schema == LINEAGE.schema
    assert rows.num_rows == len(three[1].ledger)
    assert rows["key"].to_pylist() == sorted(rows["key"].to_pylist())


def test_rows_do_not_depend_on_the_order_of_the_ledger(three):
    turned = replace(three[1], ledger=three[1].ledger.iloc[::-1].reset_index(drop=True))
    assert lineage_rows(turned).equals(lineage_rows(three[1]))
    assert children_rows(turned, NOTHING).equals(children_rows(three[1], NOTHING))


def test_a_carried_child_is_new_only_where_it_is_not_known(three):
    first = children_rows(three[0], NOTHING)
    assert first.schema == CHILDREN.schema
    second = children_rows(three[1], named_children(first))
    assert set(second["version"].to_pylist()) == {2}
    assert not set(second["sha256"].to_pylist()) & set(first["sha256"].to_pylist())
    assert children_rows(three[1], NOTHING).num_rows == (three[1].ledger["sha256"] != "").sum()


def test_a_child_of_another_group_with_the_same_bytes_is_another_child(three):
    child = three[1].ledger.iloc[0]
    known = pa.table({"key": ["[9]"], "sha256": [child["sha256"]], "trained_at": [child["trained_at"]]})
    assert children_rows(three[1], named_children(known)).num_rows == (three[1].ledger["sha256"] != "").sum()


def test_a_child_that_is_fitted_to_the_same_bytes_again_is_another_child(three):
    fitted_again = replace(three[0], ledger=three[0].ledger.assign(trained_at="2026-11-02T05:12:30+00:00"))
    known = named_children(children_rows(three[0], NOTHING))
    assert with_carried(fitted_again, known) is fitted_again
    assert children_rows(fitted_again, known).num_rows == len(known)


def test_a_version_that_is_made_of_a_finished_bundle_carries_its_children(three):
    logged_again = replace(three[0], version=2)
    known = named_children(children_rows(three[0], NOTHING))
    made = with_carried(logged_again, known)
    assert set(made.ledger.loc[made.ledger["sha256"] != "", "status"]) == {"carried"}
    assert children_rows(made, known).num_rows == 0
    row = version_row(made, 0).to_pylist()[0]
    assert (row["fitted"], row["carried"]) == (0, row["groups"])


def test_a_version_counts_its_groups(three):
    row = version_row(three[1], 3)
    assert row.schema == VERSIONS.schema
    told = row.to_pylist()[0]
    assert (told["groups"], told["fitted"], told["carried"], told["new_children"]) == (4, 2, 2, 3)
    assert told["chain"] == "[1, 0]"
    assert told["data_version"] == 7
