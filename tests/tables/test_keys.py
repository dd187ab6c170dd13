"""Keys: brought to their kind without loss or not at all, and one string for each."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import metamodel
from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.keys import KeyColumn, KeySchema, decode_key, decode_keys, encode_key, encode_keys

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


@given(st.lists(KEYS) | st.lists(st.tuples(TEXT, INT64)) | st.lists(st.tuples(INT64)) | st.lists(st.tuples(VALUES)))
@example([(1,), (True,)])
@example([(), ()])
def test_many_keys_at_once_are_encoded_and_decoded_as_each_alone(keys):
    texts = encode_keys(iter(keys))
    assert texts == [encode_key(key) for key in keys]
    assert [typed(key) for key in decode_keys(texts)] == [typed(key) for key in keys]


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


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, r"9223372036854775808 is beyond 64 bits with a sign\. Convert the column to strings, in training too"),
        (np.uint64(2**64 - 1), r"18446744073709551615.* is beyond 64 bits with a sign"),
        (Decimal("1e999999"), "is beyond 64 bits with a sign"),
        (2.0**60, r"float 1\.15.*e\+18 may have been another one before it was rounded\. Send it as an integer"),
        (float("inf"), "float inf is none"),
        (7.5, r"float 7\.5 is none\. Send the value in the kind"),
    ],
)
def test_an_integer_that_cannot_be_kept_is_refused_with_the_reason(value, why):
    with pytest.raises(InvalidKey, match=why):
        column("integer").canonical(value)


def test_unsigned_ids_beyond_64_bits_with_a_sign_make_no_groups():
    ids = pd.DataFrame({"id": np.array([2**63 + 1, 2**63 + 2], dtype="uint64"), "x": [1.0, 2.0], "y": [1.0, 2.0]})
    with pytest.raises(InvalidKey, match="'id' holds integers; 9223372036854775809 is beyond 64 bits with a sign"):
        metamodel.train(ids, "id", "y", n_jobs=1)
