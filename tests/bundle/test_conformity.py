"""What was read from JSON is of the declared types, or the first part that is not is named."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from metamodel.bundle.conformity import nonconforming

pytestmark = pytest.mark.tableless


@dataclass
class Inner:
    kind: Literal["a", "b"]
    size: int = 0


@dataclass
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] | None = None
    flag: bool = False
    share: float | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, int),
        (True, bool),
        (0.5, float),
        ("", str),
        (None, str | None),
        (object(), Any),
        ("b", Literal["a", "b"]),
        ((), tuple[int, ...]),
        ((1, 2), tuple[int, ...]),
        ({"a": (1,)}, dict[str, tuple[int, ...]]),
        (Outer(Inner("a"), (Inner("b", 3),), {"x": Inner("a")}, True, 0.5, [1]), Outer),
    ],
)
def test_a_value_of_its_declared_type_has_nothing_to_name(value: object, kind: Any) -> None:
    assert nonconforming(value, kind, "value") == ""


@pytest.mark.parametrize(
    ("value", "kind", "named"),
    [
        (True, int, "value"),
        (1, bool, "value"),
        ("7", int, "value"),
        (None, str, "value"),
        ("c", Literal["a", "b"], "value"),
        (["a"], Literal["a", "b"], "value"),
        ([1], tuple[int, ...], "value"),
        ((1, "2"), tuple[int, ...], "value[1]"),
        ({1: 2}, dict[str, int], "value[1]"),
        ({"a": {"b": "c"}}, dict[str, dict[str, int]], "value['a']['b']"),
        ({"kind": "a", "size": 1}, Inner, "value"),
        (Inner("c"), Inner, "value.kind"),
        (Outer(Inner("a", True)), Outer, "value.inner.size"),
        (Outer(Inner("a"), (Inner("a"), Inner("b", None))), Outer, "value.many[1].size"),
        (Outer(Inner("a"), share="much"), Outer, "value.share"),
    ],
)
def test_the_first_part_of_another_type_is_named(value: object, kind: Any, named: str) -> None:
    assert nonconforming(value, kind, "value") == named


def test_a_part_within_a_union_is_named_as_the_whole_union() -> None:
    assert nonconforming(Outer(Inner("a"), named={"x": Inner("c")}), Outer) == "named"
