"""Options declared as fields of dataclasses: what is declared once is what is checked, listed and picked."""

from dataclasses import MISSING, dataclass

import pytest

from metamodel.common.option import OptionGroup, check_options, declared, named, option
from metamodel.exceptions import InputError

pytestmark = pytest.mark.tableless


def even(value: object) -> str:
    return "" if isinstance(value, int) and value % 2 == 0 else "no even number. Give an even one."


@dataclass(frozen=True, kw_only=True)
class Oven:
    heat: int = option(180, form="whole", check=even, help="Degrees.")
    shelf: str | None = option(None, choices=("top", "middle"), decisive=False, help="Where it stands.")


@dataclass(frozen=True, kw_only=True)
class Cake(Oven):
    name: str = option(help="What it is called.")


def test_a_declaration_says_all_that_was_said_of_the_option() -> None:
    heat, shelf, name = declared(Cake)
    assert (heat.name, heat.default, heat.form, heat.help) == ("heat", 180, "whole", "Degrees.")
    assert (heat.choices, heat.check, heat.decisive, heat.required) == ((), even, True, False)
    assert (shelf.choices, shelf.decisive, shelf.required) == (("top", "middle"), False, False)
    assert (name.default, name.form, name.required) == (MISSING, "text", True)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("heat", 200, ""),
        ("heat", 7, "no even number. Give an even one."),
        ("heat", None, "no even number. Give an even one."),
        ("shelf", None, ""),
        ("shelf", "top", ""),
        ("shelf", "midle", "unknown. Use one of: top, middle. Did you mean 'middle'?"),
        ("name", object(), ""),
    ],
)
def test_a_value_that_is_not_what_was_declared_is_complained_of(name: str, value: object, complaint: str) -> None:
    (asked,) = (one for one in declared(Cake) if one.name == name)
    assert asked.complaint(value) == complaint


def test_the_first_wrong_value_is_refused_with_what_it_is_and_what_to_give() -> None:
    check_options(Cake(name="plain", heat=4))
    with pytest.raises(InputError, match=r"^heat=7 is no even number. Give an even one.$"):
        check_options(Cake(name="plain", heat=7, shelf="floor"))
    with pytest.raises(InputError, match=r"^shelf='floor' is unknown. Use one of: top, middle"):
        check_options(Cake(name="plain", shelf="floor"))


def test_options_of_one_dataclass_are_picked_out_of_many_values() -> None:
    given = {"name": "plain", "heat": 7, "guests": 12}
    assert named(Oven, given) == {"heat": 7}
    assert named(Cake, given) == {"heat": 7, "name": "plain"}


def test_in_a_group_those_that_have_to_be_given_come_first() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Table:
        guests: int = option(2, help="How many.")
        host: str = option(help="Who.")

    group = OptionGroup("party", "The party", (Oven, Table))
    assert [one.name for one in group.options] == ["host", "heat", "shelf", "guests"]
