"""Templates and tables of children, and the keys that they name."""

import contextlib
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError, MissingColumns
from metamodel.tables.keys import KeyColumn, KeySchema
from metamodel.tracking.references.child_table import from_template, read_uris

KEYS = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))


# -------- tables of children
def _filled(template: str, rows: Sequence[tuple[object, ...]], schema: KeySchema = KEYS) -> list[str]:
    return list(from_template(template, pd.DataFrame(rows, columns=schema.names), schema)["uri"])


def test_a_template_is_filled_once_for_each_key() -> None:
    rows = [("FR", 7), ("FR", 7.0), ("DE", 8)]
    assert _filled("models:/{country}-{store:03d}/1", rows) == ["models:/FR-007/1", "models:/DE-008/1"]
    assert _filled("models:/stores@champion", rows) == ["models:/stores@champion"] * 2


def test_a_template_takes_the_values_that_keys_have_and_not_how_they_are_written() -> None:
    schema = KeySchema((KeyColumn("store", "integer"), KeyColumn("day", "timestamp")))
    rows = [("07", pd.Timestamp("2026-01-31"))]
    assert _filled("models:/s-{store}-{day:%Y%m%d}/1", rows, schema) == ["models:/s-7-20260131/1"]


@pytest.mark.parametrize(
    ("template", "match"),
    [
        ("models:/{colour}/1", "'colour', no group column"),
        ("models:/{country", "cannot be read"),
        ("models:/{store[0]}/1", "no group column"),
        ("models:/{store:{width}}/1", "cannot be filled with"),
        ("models:/{country:03d}/1", "cannot be filled with"),
    ],
)
def test_a_template_that_is_none_is_refused(template: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        _filled(template, [("FR", 7)])


def test_a_template_needs_keys() -> None:
    with pytest.raises(InputError, match="needs a table of keys"):
        from_template("models:/{country}/1", None, KEYS)


@pytest.mark.parametrize("value", ["FR/1", "FR@2", "FR#", "FR?", "a:b", "a\\b", "a\nb", "..", ".", "", " "])
@pytest.mark.parametrize("template", ["models:/s-{country}@champion", "/models/{country}", "s3://models/{country}"])
def test_a_value_that_would_lead_elsewhere_is_refused(template: str, value: str) -> None:
    with pytest.raises(InputError, match=r"The value .* cannot stand in a URI"):
        _filled(template, [(value, 7)])


def test_values_are_quoted_where_a_server_takes_the_quotes_away() -> None:
    rows = [("../A", 1), ("%41", 1), ("A", 1), ("a?b#c", 1), ("é", 1)]
    expected = ["..%2FA", "%2541", "A", "a%3Fb%23c", "%C3%A9"]
    assert _filled("https://h/{country}/invocations", rows) == [f"https://h/{name}/invocations" for name in expected]
    assert _filled("file:///m/{country}", rows) == [f"file:///m/{name}" for name in expected]


def test_two_keys_that_a_template_leads_to_one_place_are_refused() -> None:
    schema = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "string")))
    with pytest.raises(InputError, match=r"leads \('a-b', 'c'\) and \('a', 'b-c'\) to one place, models:/a-b-c/1"):
        _filled("models:/{country}-{store}/1", [("a-b", "c"), ("a", "b-c")], schema)


def test_a_null_fills_no_template() -> None:
    with pytest.raises(InputError, match="'store' of the keys holds a null"):
        _filled("models:/{country}-{store}/1", [("FR", 7), ("FR", None)])


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 99)), min_size=2, max_size=5, unique=True))
def test_a_template_never_leads_two_keys_to_one_place(rows: list[tuple[str, int]]) -> None:
    for template in ("https://h/{country}{store}/invocations", "models:/{country}{store}/1"):
        with contextlib.suppress(InputError):
            uris = _filled(template, rows)
            assert len({urlsplit(unquote(uri) if "h/" in uri else uri).geturl() for uri in uris}) == len(rows)


def test_text_of_files_and_tags_finds_its_kind_and_empty_columns_make_parents() -> None:
    table = pd.DataFrame({"country": ["FR", "FR", None], "store": ["7", None, np.nan], "uri": ["a", "b", " c "]})
    assert read_uris(table, KEYS) == {("FR", 7): "a", ("FR",): "b", (): "c"}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([("FR", 7, "a"), ("FR", "7", "b")], "is in the table twice"),
        ([(None, 7, "a")], "has a null before a value"),
        ([("FR", 7, None)], "has no URI"),
        ([("FR", 7, " ")], "has no URI"),
        ([("FR", 7.5, "a")], "holds integers"),
        ([], "is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(rows: list[tuple[object, ...]], match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_uris(pd.DataFrame(rows, columns=["country", "store", "uri"]), KEYS)


def test_a_table_without_uris_is_refused() -> None:
    with pytest.raises(MissingColumns, match="'uri'"):
        read_uris(pd.DataFrame({"country": ["FR"], "store": [7]}), KEYS)
