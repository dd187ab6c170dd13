"""Keys: brought to their kind without loss or not at all, and one string for each."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.keys import KeyColumn, KeySchema, decode_key, encode_key

NASTY = [
    "🦉",
    "line\nbreak",
    "tab\t",
    "a/b",
    "1.5",
    "100%",
    'say "hi"',
    "it's",
    "../..",
    "x" * 10_000,
    "\0",
    "",
    "NaN",
    "{}",
]
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(NASTY)
NAIVE = st.integers(-(2**62), 2**62).map(pd.Timestamp)
UTC = NAIVE.map(lambda stamp: stamp.tz_localize("UTC"))
VALUES = st.none() | TEXT | INT64 | st.booleans() | st.dates() | NAIVE | UTC
KEYS = st.lists(VALUES, max_size=4).map(tuple)


def typed(key):
    """A form in which 1, True and 1.0 differ, as groups do."""
    return [(type(value), value, getattr(value, "tzinfo", None) is None) for value in key]


def column(kind, **options):
    return KeyColumn("store", kind, **options)


# --- encoding


@given(KEYS)
def test_decoding_inverts_encoding(key):
    assert typed(decode_key(encode_key(key))) == typed(key)


@given(KEYS, KEYS)
@example(("a-b", "c"), ("a", "b-c"))
@example(('a","b',), ("a", "b"))
@example((1,), (True,))
@example(("1",), (1,))
@example((None,), ("null",))
@example((dt.date(2026, 1, 31),), ("2026-01-31",))
@example((dt.date(2026, 1, 31),), (pd.Timestamp("2026-01-31"),))
@example((dt.date(2026, 1, 31),), ('{"date":"2026-01-31"}',))
@example((pd.Timestamp("2026-01-31"),), (pd.Timestamp("2026-01-31", tz="UTC"),))
@example(("a",), ("a", None))
def test_distinct_keys_have_distinct_encodings(one, other):
    assert (encode_key(one) == encode_key(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize("text", NASTY)
def test_an_encoded_key_is_json_that_utf8_can_hold(text):
    assert json.loads(encode_key((text, 7)).encode()) == [text, 7]


def test_nanoseconds_survive_encoding():
    stamp = pd.Timestamp("2026-01-31T12:34:56.123456789Z")
    assert decode_key(encode_key((stamp,)))[0].value == stamp.value


def test_timestamps_of_different_resolution_share_an_encoding():
    assert encode_key((pd.Timestamp("2026-01-31").as_unit("s"),)) == encode_key(
        (pd.Timestamp("2026-01-31").as_unit("ns"),)
    )


# --- one value


@pytest.mark.parametrize(
    "value",
    [7, np.int8(7), np.int64(7), np.uint64(7), 7.0, np.float32(7), Decimal(7), Decimal("7.00"), pd.array([7])[0]],
    ids=lambda value: type(value).__name__,
)
def test_every_whole_number_names_the_integer_group(value):
    assert typed([column("integer").canonical(value)]) == typed([7])


@pytest.mark.parametrize(
    "value",
    [7.5, "7", True, np.True_, Decimal("7.5"), float("inf"), Decimal("inf"), b"7", 7 + 0j, [7], dt.date(2026, 1, 7)],
    ids=repr,
)
def test_nothing_else_names_an_integer_group(value):
    with pytest.raises(
        InvalidKey, match=r"Group column 'store' holds integers; .* is none. Send the value in the kind"
    ):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, float(2**53 - 1)])
def test_floats_below_two_to_the_53_count_as_integers(value):
    assert column("integer").canonical(float(value)) == int(value)


@pytest.mark.parametrize("value", [float(2**53), float(-(2**53)), 1e300, np.float64(2**60)])
def test_floats_that_may_have_been_another_integer_are_none(value):
    with pytest.raises(InvalidKey, match="holds integers; the float"):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, -(2**63), Decimal(2**53 + 1)])
def test_big_integers_are_kept_exactly(value):
    assert column("integer").canonical(value) == int(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, np.uint64(2**63), Decimal("1e400000")])
def test_numbers_beyond_64_bits_are_none(value):
    with pytest.raises(InvalidKey, match="holds integers"):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT, Decimal("NaN")], ids=repr)
@pytest.mark.parametrize("kind", ["string", "integer", "boolean", "date", "timestamp"])
def test_every_null_is_none(kind, value):
    assert column(kind).canonical(value) is None


@pytest.mark.parametrize(
    ("kind", "value", "canonical"),
    [("integer", "7", 7), ("integer", "-07", -7), ("boolean", "True", True), ("boolean", "false", False)],
)
def test_text_names_numbers_and_booleans_where_the_schema_says_so(kind, value, canonical):
    assert typed([column(kind, from_text=True).canonical(value)]) == typed([canonical])


@pytest.mark.parametrize("value", ["7.0", "7 ", "seven", "", "\N{ARABIC-INDIC DIGIT SEVEN}", "9" * 30])
def test_text_that_is_no_plain_integer_is_none_all_the_same(value):
    with pytest.raises(InvalidKey, match="holds integers; the str"):
        column("integer", from_text=True).canonical(value)


@pytest.mark.parametrize("value", [1, 0, 1.0, "true", "1"])
def test_only_booleans_name_a_boolean_group(value):
    with pytest.raises(InvalidKey, match="holds booleans"):
        column("boolean").canonical(value)


@pytest.mark.parametrize("value", [7, True, b"FR", dt.date(2026, 1, 1)])
def test_only_text_names_a_string_group(value):
    with pytest.raises(InvalidKey, match="holds strings"):
        column("string").canonical(value)


def test_text_that_utf8_cannot_hold_is_none():
    with pytest.raises(InvalidKey, match=r"holds strings; the str .*ud800"):
        column("string").canonical("\ud800")


def test_a_numpy_string_becomes_a_plain_one():
    assert type(column("string").canonical(np.str_("FR"))) is str


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2026, 1, 31),
        dt.datetime(2026, 1, 31),
        pd.Timestamp("2026-01-31"),
        np.datetime64("2026-01-31"),
        np.datetime64("2026-01-31T00:00:00", "ns"),
        "2026-01-31",
    ],
    ids=repr,
)
def test_every_midnight_names_the_date(value):
    assert typed([column("date").canonical(value)]) == typed([dt.date(2026, 1, 31)])


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 1, 31, 12),
        pd.Timestamp("2026-01-31", tz="UTC"),
        pd.Timestamp("2026-01-31") + pd.Timedelta(1, "ns"),
        np.datetime64("300000-01-01"),
        "2026-02-31",
        "31.01.2026",
        "20260131",
        20260131,
    ],
    ids=repr,
)
def test_a_time_of_day_or_another_spelling_is_no_date(value):
    with pytest.raises(InvalidKey, match="holds dates"):
        column("date").canonical(value)


@pytest.mark.parametrize(
    "value",
    ["2026-01-31T12:00:00Z", "2026-01-31 13:00:00+01:00", pd.Timestamp("2026-01-31 07:00", tz="America/New_York")],
)
def test_moments_with_a_zone_are_kept_in_utc(value):
    canonical = column("timestamp", utc=True).canonical(value)
    assert (canonical, str(canonical.tz)) == (pd.Timestamp("2026-01-31 12:00", tz="UTC"), "UTC")


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("2026-01-31T12:00:00", True),
        ("2026-01-31T12:00:00Z", False),
        ("yesterday", False),
        ("2026-13-01", False),
        (np.datetime64("300000-01-01"), False),
        (20260131, False),
    ],
)
def test_a_moment_of_the_other_kind_is_none(value, utc):
    with pytest.raises(InvalidKey, match="holds timestamps"):
        column("timestamp", utc=utc).canonical(value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InvalidKey, match=r"^.{0,300}$"):
        column("integer").canonical("x" * 10_000)


@given(VALUES, st.sampled_from(["string", "integer", "boolean", "date", "timestamp"]), st.booleans())
def test_a_canonical_value_is_its_own_canonical_value(value, kind, utc):
    target = column(kind, utc=utc)
    try:
        canonical = target.canonical(value)
    except InvalidKey:
        return
    assert typed([target.canonical(canonical)]) == typed([canonical])


# --- reading the kind off a table


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None], "string"),
        (pd.array(["a", None], dtype="string"), "string"),
        (pd.Categorical(["a", "b"], categories=["a", "b", "c"]), "string"),
        (pd.Categorical([1, 2]), "integer"),
        ([1, 2], "integer"),
        (np.array([1, 2], dtype="uint8"), "integer"),
        (pd.array([1, None], dtype="Int64"), "integer"),
        ([1.0, None], "integer"),
        ([Decimal(1), None], "integer"),
        ([True, False], "boolean"),
        (pd.array([True, None], dtype="boolean"), "boolean"),
        ([True, None], "boolean"),
        ([dt.date(2026, 1, 1), None], "date"),
        (pd.to_datetime(["2026-01-01", None]), "timestamp"),
        ([dt.datetime(2026, 1, 1, 12)], "timestamp"),
        (pd.array([1, None], dtype="int64[pyarrow]"), "integer"),
        (pd.array(["a", None], dtype="string[pyarrow]"), "string"),
        (pd.array([dt.date(2026, 1, 1)], dtype="date32[pyarrow]"), "date"),
    ],
)
def test_the_kind_is_read_off_the_column(values, kind):
    assert KeyColumn.infer("k", pd.Series(values)) == KeyColumn("k", kind)


def test_a_zone_is_read_off_the_column():
    moments = pd.to_datetime(pd.Series(["2026-01-01"])).dt.tz_localize("Europe/Paris")
    assert KeyColumn.infer("k", moments) == KeyColumn("k", "timestamp", utc=True)


@pytest.mark.parametrize("values", [[1.5, 2.0], [Decimal("1.5")], [np.inf], [2.0**53]])
def test_fractions_are_refused_as_a_group_column(values):
    with pytest.raises(InputError, match=r"'k' holds numbers that are no whole numbers.*Round it or cut it into bins"):
        KeyColumn.infer("k", pd.Series(values))


@pytest.mark.parametrize(
    "values", [[1, "a"], [[1], [2]], [b"a"], [dt.timedelta(1)], [dt.date(2026, 1, 1), 5], [1 + 2j]], ids=repr
)
def test_a_column_of_no_kind_is_refused(values):
    with pytest.raises(InputError, match=r"'k' cannot hold group keys: its values are .* Convert it"):
        KeyColumn.infer("k", pd.Series(values, dtype=object))


@pytest.mark.parametrize("values", [[None, None], [np.nan], []])
def test_a_column_without_a_value_is_refused(values):
    with pytest.raises(InputError, match=r"'k' holds no value at all. Choose another group column"):
        KeyColumn.infer("k", pd.Series(values, dtype=object))


def test_a_missing_group_column_is_named():
    with pytest.raises(MissingColumns, match=r"\['shop'\] are not in the table \(columns: store\)"):
        KeySchema.infer(pd.DataFrame({"store": [1]}), ["shop"])


def test_an_unknown_null_policy_is_refused():
    with pytest.raises(InputError, match=r"null_keys='keep' is unknown. Use one of error, group, drop"):
        KeySchema.infer(pd.DataFrame({"store": [1]}), ["store"], "keep")


# --- whole keys

SCHEMA = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))


@pytest.mark.parametrize("key", [("FR", 7), ["FR", 7.0], ("FR", np.int64(7))])
def test_a_key_is_brought_to_the_schema(key):
    assert typed(SCHEMA.canonical(key)) == typed(("FR", 7))


def test_a_bare_value_is_the_key_of_one_column():
    assert KeySchema((KeyColumn("store", "integer"),)).canonical(7) == (7,)


@pytest.mark.parametrize("key", ["FR", ("FR",), ("FR", 7, 1), ()])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(InvalidKey, match=r"but there are 2 group columns \(country, store\). Give one value for each"):
        SCHEMA.canonical(key)


@pytest.mark.parametrize("policy", ["error", "drop"])
def test_a_null_is_no_key_unless_the_policy_says_so(policy):
    with pytest.raises(InvalidKey, match=r"Group column 'store' is null. Fill it, or train with null_keys=.group"):
        KeySchema(SCHEMA.columns, policy).canonical(("FR", None))


def test_a_null_is_a_key_where_the_policy_says_so():
    assert KeySchema(SCHEMA.columns, "group").canonical((np.nan, pd.NA)) == (None, None)


SCHEMAS = st.builds(
    KeySchema,
    st.lists(
        st.builds(
            KeyColumn,
            TEXT,
            st.sampled_from(["string", "integer", "boolean", "date", "timestamp"]),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.sampled_from(["error", "group", "drop"]),
)


@given(SCHEMAS)
def test_a_schema_survives_json(schema):
    assert KeySchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
