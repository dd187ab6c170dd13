"""How an option is declared: once, as a field of a frozen dataclass that stands for a group of options.

What there is to know of the option stands in the field: its name, type and default, what its value may be, a line of
help, how it is written on the command line, and whether it decides what is fitted. The command line, files of options,
the spec digest, the checks and the table in docs/options.md are made from that. Imports nothing heavy, so that
`metamodel --help` is quick.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from metamodel.common.messages import did_you_mean, short
from metamodel.exceptions import InputError

__all__ = ["Check", "Form", "Option", "OptionGroup", "check_options", "declared", "named", "option", "read_settings"]

# Values that a file may come to when each alias is written out: more than anybody writes by hand.
_MOST_VALUES = 100_000

# A value → what it is not, and what to give instead; "" where nothing is wrong with it.
Check = Callable[[Any], str]

# How the value is written on the command line; a file of options may say the same in YAML's own types.
Form = Literal[
    "text", "texts", "names", "object", "space", "table", "whole", "number", "seconds", "share", "switch", "auto_switch"
]


@dataclass(frozen=True)
class Option:
    """One option, as it was declared.

    Parameters
    ----------
    name
        As in Python.
    default
        `dataclasses.MISSING` where there is none, so that it has to be given.
    help
        One line.
    form
        How it is written on the command line.
    choices
        The words it may be; empty where it is no choice among words.
    check
        Says what a value is not.
    decisive
        Whether it decides what a group's rows are turned into, and so belongs into the spec digest.
    """

    name: str
    default: Any
    help: str
    form: Form
    choices: tuple[str, ...]
    check: Check | None
    decisive: bool

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    def complaint(self, value: object) -> str:
        """Say what is wrong with a value; an optional one may always be None."""
        if value is None and self.default is None:
            return ""
        if self.choices and value not in self.choices:
            return f"unknown. Use one of: {', '.join(self.choices)}.{did_you_mean(value, self.choices)}"
        return self.check(value) if self.check else ""


def option(
    default: Any = MISSING,
    *,
    help: str,
    form: Form = "text",
    choices: tuple[str, ...] = (),
    check: Check | None = None,
    decisive: bool = True,
) -> Any:
    """Declare an option as a field of a dataclass; see `Option`. What is not said to be indecisive is in the digest."""

    def declare(name: str) -> Option:
        return Option(name, default, help, form, choices, check, decisive)

    return field(default=default, metadata={"declare": declare})


def declared(group: type) -> Iterator[Option]:
    """Yield the options of a dataclass, its bases' too, in their order."""
    for one in fields(group):
        yield one.metadata["declare"](one.name)


def named(group: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the options of a dataclass out of many values."""
    return {one.name: values[one.name] for one in declared(group) if one.name in values}


def check_options(options: Any) -> None:
    """Insist on what the options of a dataclass's instance may be.

    Raises
    ------
    InputError
        The first value that is not what its declaration says.
    """
    for one in declared(type(options)):
        value = getattr(options, one.name)
        if complaint := one.complaint(value):
            raise InputError(f"{one.name}={short(value)} is {complaint}")


@dataclass(frozen=True)
class OptionGroup:
    """Options that belong together: a heading in `--help`, a key in files of options, a table in the docs.

    Parameters
    ----------
    key
        In files of options.
    heading
        In the help and in the docs.
    classes
        The dataclasses that declare them.
    """

    key: str
    heading: str
    classes: tuple[type, ...]

    @property
    def options(self) -> list[Option]:
        """The options, those that have to be given first."""
        return sorted((one for group in self.classes for one in declared(group)), key=lambda one: not one.required)


_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


def read_settings(text: str, *, is_json: bool) -> Any:
    """Read JSON or YAML whose keys stand once, and whose aliases come to no more than a large file.

    Raises
    ------
    ValueError
        It is malformed, names a key twice or opens to too much; the message is one line.

    Examples
    --------
    >>> read_settings("{a: &x [1, 2], b: *x, c: 1e-9}", is_json=False)
    {'a': [1, 2], 'b': [1, 2], 'c': 1e-09}
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if (twice := _twice(keys)) is not None:
                raise yaml.YAMLError(f"{short(twice)} stands twice in {node.start_mark}")
            return dict(super().construct_mapping(node, deep))

        def get_single_node(self) -> Any:
            node = super().get_single_node()
            if node is not None and _size(node, {}) > _MOST_VALUES:
                raise yaml.YAMLError(f"its aliases open to more than {_MOST_VALUES:,} values")
            return node

    # YAML 1.2 reads 1e-9 as people mean it; PyYAML, which follows 1.1, wants 1.0e-9 and makes a text of it.
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, [*"+-.0123456789"])
    try:
        return json.loads(text, object_pairs_hook=_object) if is_json else yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def _twice(names: Iterable[str]) -> str | None:
    return next((name for name, times in Counter(names).items() if times > 1), None)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := _twice(name for name, _ in pairs)) is not None:
        raise ValueError(f"{short(twice)} stands twice in one object")
    return dict(pairs)


def _size(node: Any, known: dict[int, float]) -> float:
    """Count the values that a node comes to; one that holds itself has no end."""
    if isinstance(node.value, str):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")  # until it is counted: whoever meets it now is inside it
        parts = [part for one in node.value for part in (one if isinstance(one, tuple) else (one,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]
