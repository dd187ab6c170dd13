"""Settings that mean harm end in one line, at once."""

import pytest

from metamodel.common.option import read_settings

BOMB = "a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "aliases open to more than 100,000 values"),
        ("a: &a [*a]", "aliases open to more than"),
        ("a: &a {b: *a}", "aliases open to more than"),
        ("a: " + "[" * 1000, "it nests too deeply"),
        ("a: 1\na: 2", "'a' stands twice"),
        ("a: [", "expected the node content"),
    ],
    ids=["bomb", "list in itself", "mapping in itself", "deep", "twice", "malformed"],
)
def test_yaml_that_is_none_or_has_no_end_is_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_settings(text, is_json=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['{"alpha": 1, "b": [{"alpha": 2}], "alpha": 3}', '[{"b": {"alpha": 1, "alpha": 1}}]'],
    ids=["at the top", "within"],
)
def test_json_that_names_a_key_twice_is_refused_and_not_read_as_the_last(text):
    with pytest.raises(ValueError, match=r"^'alpha' stands twice in one object$"):
        read_settings(text, is_json=True)


def test_a_key_may_stand_in_several_objects():
    assert read_settings('{"a": {"b": 1}, "c": {"b": 2}}', is_json=True) == {"a": {"b": 1}, "c": {"b": 2}}


@pytest.mark.parametrize("is_json", [True, False], ids=["json", "yaml"])
def test_an_empty_key_that_stands_twice_is_refused_too(is_json):
    with pytest.raises(ValueError, match="'' stands twice"):
        read_settings('{"": 1, "": 2}', is_json=is_json)


def test_json_that_nests_too_deeply_is_one_line():
    with pytest.raises(ValueError, match="nests too deeply"):
        read_settings("[" * 100_000, is_json=True)


@pytest.mark.parametrize("text", ["1e-9", "1.0e-9", "1E-9", "+1e-09", ".1e-8", "0.01e-7"])
def test_a_power_of_ten_is_a_number_however_it_is_written(text):
    assert read_settings(f"tolerance: {text}", is_json=False) == {"tolerance": pytest.approx(1e-9, rel=1e-12)}


@pytest.mark.parametrize("text", ["'1e-9'", "e9", "1e", "12e4x", "1e-"])
def test_what_only_looks_like_a_power_of_ten_stays_text(text):
    assert read_settings(f"code: {text}", is_json=False) == {"code": text.strip("'")}


def test_aliases_and_merged_keys_are_read():
    assert read_settings("a: &a {b: 1}\nc: {<<: *a, d: *a}", is_json=False)["c"] == {"b": 1, "d": {"b": 1}}
