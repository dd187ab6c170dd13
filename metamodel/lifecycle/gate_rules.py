"""The rules of a gate: declared once, read from YAML, JSON or a dict, checked before anything is computed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from metamodel.common.messages import did_you_mean, listing, short
from metamodel.common.option import Option, check_options, declared, option, read_settings
from metamodel.common.validation import is_number, is_whole
from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_conditions import parse_bound

__all__ = [
    "EXPECTATIONS",
    "SLICE_METRICS",
    "BudgetRule",
    "DirectionalRule",
    "FunctionalityRule",
    "GateRules",
    "GroupsRule",
    "InvarianceRule",
    "RegressionRule",
    "SchemaRule",
    "read_rules",
]

# Metrics that have a loss of each row, by task; the first one is the default.
SLICE_METRICS = {"regression": ("mae", "rmse"), "classification": ("accuracy", "log_loss")}

EXPECTATIONS = ("increase", "decrease", "no_increase", "no_decrease")


def _share(value: object) -> str:
    return "" if is_number(value) and 0 <= value <= 1 else "no share. Give a number from 0 to 1."


def _not_negative(value: object) -> str:
    return "" if is_number(value) and value >= 0 else "no limit. Give a number that is not below 0."


def _confidence(value: object) -> str:
    return "" if is_number(value) and 0.5 <= value < 1 else "no confidence. Give a number from 0.5 to below 1."


def _number_of_rows(value: object) -> str:
    return "" if is_whole(value, 2) else "no number of rows. Give a whole number of at least 2."


def _texts(value: object) -> str:
    right = isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)
    return "" if right else 'no list of texts. Give such as [country, "country,store"].'


def _budget(value: object) -> str:
    bound = parse_bound(value)
    right = bound is not None and bound.sign != ">=" and bound.number > 0
    return "" if right else 'no limit. Give a number, or a multiple of the champion\'s such as "1.2x".'


def _mapping(value: object) -> str:
    right = isinstance(value, Mapping) and value and all(isinstance(name, str) for name in value)
    return "" if right else "no mapping from columns to values. Give such as {promotion: 0}."


@dataclass(frozen=True, kw_only=True)
class RegressionRule:
    """No slice may be clearly worse than under the champion."""

    metric: str | None = option(None, help="mae or rmse; of classifiers accuracy (wrong labels) or log_loss.")
    slices: list[str] = option(
        (), check=_texts, help="Columns that cut the rows into slices, one or several behind one another; all rows too."
    )
    max: float = option(0.03, check=_not_negative, help="Relative rise of the error that is allowed.")
    confidence: float = option(0.95, check=_confidence, help="How sure the rise has to be, over all slices together.")
    min_rows: int = option(50, check=_number_of_rows, help="Smaller slices are not judged.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class GroupsRule:
    """How many groups may be worse off."""

    lost: float | None = option(None, check=_not_negative, help="Groups without a model that had one before.")
    worse: float | None = option(None, check=_share, help="Share of the groups whose answers are clearly worse.")
    failed: float | None = option(None, check=_share, help="Share of the groups whose training failed.")
    fallback_rate_up: float | None = option(
        None, check=_share, help="Rise of the share of rows that a parent or nobody answers."
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class SchemaRule:
    """What callers rely on: features, group columns, classes, columns of the answer."""

    removed: int | None = option(None, check=_not_negative, help="How many may be gone.")
    kind_changed: int | None = option(None, check=_not_negative, help="How many may be of another kind.")
    added: int | None = option(None, check=_not_negative, help="How many features callers may have to send anew.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class BudgetRule:
    """What the model may cost, absolutely or as a multiple of the champion's."""

    one_row_ms: float | str | None = option(None, check=_budget, help="Median milliseconds of one row's answer.")
    bundle_mb: float | str | None = option(None, check=_budget, help="Megabytes of the bundle.")
    open_ms: float | str | None = option(None, check=_budget, help="Median milliseconds to open the bundle.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class FunctionalityRule:
    """Minimum functionality (Ribeiro et al. 2020): answers that a model has to give to simple rows."""

    predict: Any = option(help='What the prediction has to be: ">= 0", "not null", a label, or a list of them.')
    where: dict[str, Any] | None = option(None, check=_mapping, help="Of which rows; default: of all.")
    share: float = option(1.0, check=_share, help="Of how many of these rows.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class InvarianceRule:
    """A change that must not move the answers."""

    change: dict[str, Any] = option(check=_mapping, help='What is changed: {store_name: shuffle}, {price: "+10%"}.')
    tolerance: float = option(1e-9, check=_not_negative, help="Relative to the prediction; below 1 absolute.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class DirectionalRule:
    """A change that must move the answers one way."""

    change: dict[str, Any] = option(check=_mapping, help='What is changed: {price: "+10%"}.')
    expect: str = option(choices=EXPECTATIONS, help="Which way a group's mean prediction has to go.")
    share_of_groups: float = option(1.0, check=_share, help="In how many of the groups.")
    label: Any = option(None, help="Of classifiers: whose probability.")

    def __post_init__(self) -> None:
        check_options(self)


_SECTIONS: dict[str, type] = {
    "regression": RegressionRule,
    "groups": GroupsRule,
    "schema": SchemaRule,
    "budget": BudgetRule,
}

_LISTS: dict[str, type] = {
    "minimum_functionality": FunctionalityRule,
    "invariance": InvarianceRule,
    "directional": DirectionalRule,
}


@dataclass(frozen=True)
class GateRules:
    """All rules of a gate; what is empty or None is not checked.

    Attributes
    ----------
    floor
        Figure of the candidate → how small, or large, it may be.
    """

    floor: dict[str, Any] = field(default_factory=dict)
    regression: RegressionRule | None = None
    groups: GroupsRule | None = None
    schema: SchemaRule | None = None
    budget: BudgetRule | None = None
    minimum_functionality: tuple[FunctionalityRule, ...] = ()
    invariance: tuple[InvarianceRule, ...] = ()
    directional: tuple[DirectionalRule, ...] = ()

    @classmethod
    def of(cls, described: Any) -> Self:
        """Read rules as YAML or JSON give them.

        Raises
        ------
        InputError
            A rule is unknown, or has a value it cannot have.
        """
        if not isinstance(described, Mapping):
            raise InputError(f"The rules are a {type(described).__name__}. Give a mapping from rules to their limits.")
        names = [rule.name for rule in fields(cls)]
        if odd := [name for name in described if name not in names]:
            raise InputError(
                f"There is no rule {listing(map(repr, odd))}. There are: {', '.join(names)}.{did_you_mean(odd, names)}"
            )
        parsed: dict[str, Any] = {"floor": _floor(described.get("floor"))}
        for name, section in _SECTIONS.items():
            if described.get(name) is not None:
                parsed[name] = _rule(section, described[name], name)
        for name, section in _LISTS.items():
            parsed[name] = tuple(_rules(section, described.get(name), name))
        rules = cls(**parsed)
        if rules == cls():
            raise InputError("The rules hold no rule, so everything would pass. `metamodel gate --init` writes some.")
        return rules

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield the columns of the table that rules name, each with the rule."""
        for spec in self.regression.slices if self.regression else ():
            yield from (("regression", name.strip()) for name in spec.split(","))
        for one in self.minimum_functionality:
            yield from (("minimum_functionality", name) for name in one.where or ())
        for name, rules in (("invariance", self.invariance), ("directional", self.directional)):
            for rule in rules:
                yield from ((name, column) for column in rule.change)


def _floor(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f"floor is {short(value)}. Give a mapping from figures to limits, such as {{skill_median: 0}}."
        )
    for name, limit in value.items():
        bound = parse_bound(limit)
        if bound is None or bound.relative:
            raise InputError(f'floor: {name}={short(limit)} is no limit. Give a number, or such as "<= 12".')
    return dict(value)


def _rules(section: type, value: Any, name: str) -> Iterator[Any]:
    if value is not None and not isinstance(value, list | tuple):
        raise InputError(f"{name} is a {type(value).__name__}. Give a list of rules.")
    for one in value or ():
        yield _rule(section, one, name)


def _rule(section: type, value: Any, name: str) -> Any:
    options: dict[str, Option] = {declared_option.name: declared_option for declared_option in declared(section)}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is {short(value)}. Give a mapping of: {', '.join(options)}.")
    if odd := [key for key in value if key not in options]:
        raise InputError(
            f"{name}: there is no {listing(map(repr, odd))}. There are: {', '.join(options)}."
            f"{did_you_mean(odd, options)}"
        )
    if missing := [name for name, declared_option in options.items() if declared_option.required and name not in value]:
        raise InputError(f"{name}: {listing(missing)} is missing from {short(dict(value))}.")
    make: Callable[..., Any] = section
    try:
        return make(**value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def read_rules(rules: Any) -> GateRules:
    """Read rules from a file of YAML or JSON, or take them as they are.

    Raises
    ------
    InputError
        There is no such file, it is malformed, or holds what are no rules.
    """
    if isinstance(rules, GateRules):
        return rules
    if not isinstance(rules, str | Path):
        return GateRules.of(rules)
    try:
        text = Path(rules).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The rules {str(rules)!r} cannot be read: {reason}. Check the path; `metamodel gate --init` writes some."
        ) from error
    try:
        content = read_settings(text, is_json=str(rules).lower().endswith(".json"))
    except ValueError as error:
        raise InputError(f"The rules {str(rules)!r} are malformed ({error}). Correct them.") from error
    try:
        return GateRules.of(content)
    except InputError as error:
        raise InputError(f"{rules}: {error}") from error
