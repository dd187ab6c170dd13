"""Which columns changed where, as tables that are coloured."""

from monitored_pages import tables

from metamodel.report.changes_by_column import changes_by_group, changes_by_parent

KEYS = [(country, shop) for country in ("DE", "FR") for shop in range(300)]

CHANGES = {("FR", 0): {"price": 0.4, "(absolute error)": 3.0}, ("FR", 1): {"price": 0.2}, ("DE", 5): {"price": 0.1}}


def test_a_parent_says_in_which_share_of_its_groups_a_column_changed() -> None:
    of = tables(KEYS, CHANGES)

    table = changes_by_parent(of["groups"], KEYS, of["cells"], of["columns"])

    assert table is not None
    assert table.columns == ["price", "(absolute error)"]
    assert [(row["name"], row["note"]) for row in table.rows] == [("FR", "2 of 300"), ("DE", "1 of 300")]
    assert [cell["text"] for row in table.rows for cell in row["cells"]] == ["1", "<1", "<1", ""]


def test_a_group_says_how_far_its_columns_moved() -> None:
    of = tables(KEYS, CHANGES)

    table = changes_by_group(of["groups"], of["cells"], of["columns"])

    assert table is not None
    shown = {row["name"]: [(cell["text"], cell["heat"]) for cell in row["cells"]] for row in table.rows}
    assert shown["FR · 0"] == [("0.4", 0.4), ("3", 1.0)]
    assert shown["DE · 5"] == [("0.1", 0.25), ("", 0.0)]


def test_groups_that_an_incident_explains_come_after_the_others() -> None:
    """2,500 groups of one broken feed would leave no place for anybody else."""
    broken = {(country, shop): {"price": 9.0} for country, shop in KEYS if country == "DE"}
    of = tables(KEYS, {**broken, ("FR", 3): {"price": 0.2}, ("FR", 299): {"price": 0.3}})
    german = of["groups"]["key"].str.startswith('["DE"')
    groups = of["groups"].assign(
        incident=german.map({True: "bb22", False: ""}), p_drift=german.map({True: 0, False: 1})
    )

    table = changes_by_group(groups, of["cells"], of["columns"])

    assert table is not None
    assert [row["name"] for row in table.rows[:3]] == ["FR · 299", "FR · 3", "DE · 0"]
    assert len(table.rows) == 40


def test_what_no_column_shows_stands_beside_the_groups_status() -> None:
    of = tables(KEYS, CHANGES)
    groups = of["groups"].set_index("key")
    groups.loc['["FR",1]', ["status", "answered_by", "columns"]] = ["performance", "global", "price; (coverage)"]

    table = changes_by_group(groups.reset_index(), of["cells"], of["columns"])

    assert table is not None
    assert {row["name"]: row["note"] for row in table.rows} == {
        "FR · 1": "performance: coverage, by global",
        "FR · 0": "drift",
        "DE · 5": "drift",
    }


def test_there_is_no_table_where_nothing_changed_or_nobody_has_a_parent() -> None:
    calm, flat = tables(KEYS, {}), tables([(1,), (2,)], {(1,): {"price": 0.4}})

    assert changes_by_parent(calm["groups"], KEYS, calm["cells"], calm["columns"]) is None
    assert changes_by_group(calm["groups"], calm["cells"], calm["columns"]) is None
    assert changes_by_parent(flat["groups"], [(1,), (2,)], flat["cells"], flat["columns"]) is None
