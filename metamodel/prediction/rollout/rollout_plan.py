"""What a roll-out is: two models, who of them answers which unit, and what is shown of the other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self, get_args

from metamodel.common.arrays import BoolArray
from metamodel.common.messages import listing, short
from metamodel.common.validation import is_number, one_of
from metamodel.exceptions import InputError
from metamodel.prediction.rollout.assignment import check_fraction, in_challenger
from metamodel.prediction.rollout.units import EntityColumn, UnitRows, entity_units
from metamodel.tables.grouping import Grouping

__all__ = ["Mode", "Rollout", "Unit"]

Mode = Literal["shadow", "ab", "canary", "interleave"]

Unit = Literal["entity", "group"]

_INTERLEAVED = 0.5

# Seconds. No clock waits for ever: each call would fail at once, and the champion answer all rows.
_LONGEST_PATIENCE = 3600.0


@dataclass(frozen=True)
class Rollout:
    """A challenger beside a champion.

    Parameters
    ----------
    mode
        "shadow": the champion answers, and what the challenger would have said is logged. "ab", "canary": each unit has
        its model. "interleave": both answers are shown, and the unit decides which stands first.
    fraction
        Share of the units that the challenger has; of no meaning in the shadow, and half of them in "interleave".
    entity
        Columns that name a unit; empty where `unit` is "group".
    unit
        "entity", or "group": whole groups fall to a model.
    salt
        Another one deals the units anew. The same keeps them where they are while the fraction grows.
    patience
        Seconds that a server waits for the challenger; then the champion answers.
    champion, challenger
        What is known of both: uri, name, version, digest.
    """

    mode: Mode = "shadow"
    fraction: float = 0.1
    entity: tuple[EntityColumn, ...] = ()
    unit: Unit = "entity"
    salt: str = ""
    patience: float = 2.0
    champion: Mapping[str, str] | None = None
    challenger: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        one_of("mode", self.mode, get_args(Mode))
        one_of("unit", self.unit, get_args(Unit))
        check_fraction(self.fraction)
        if not isinstance(self.salt, str):
            raise InputError(f"salt={self.salt!r} is no text. Give any word; the same one deals the same units.")
        if not is_number(self.patience) or not 0 < self.patience <= _LONGEST_PATIENCE:
            raise InputError(f"patience={short(self.patience)} is no time to wait. Give seconds, such as 2.")
        if len({column.name for column in self.entity}) < len(self.entity):
            raise InputError(f"The entity names a column twice: {listing(self.entity_names)}. Name each once.")
        if self.unit == "group" and self.entity:
            raise InputError('unit="group" takes whole groups, and no entity. Leave one of both out.')
        if self.unit == "entity" and not self.entity and self.mode != "shadow":
            raise InputError(
                f'mode={self.mode!r} needs units that keep their model. Give entity=["customer_id"], or unit="group".'
            )

    @classmethod
    def of(cls, entity: Sequence[str] | str | None, **choices: Any) -> Self:
        """Describe a roll-out by the words of a caller; of entity columns by ``name`` or ``name:kind``."""
        names = [entity] if isinstance(entity, str) else list(entity or ())
        return cls(entity=tuple(EntityColumn.parse(name) for name in names), **choices)

    @cached_property
    def entity_names(self) -> tuple[str, ...]:
        """Names of the entity columns."""
        return tuple(column.name for column in self.entity)

    def with_fraction(self, fraction: float) -> Self:
        """Give the challenger another share."""
        return replace(self, fraction=check_fraction(fraction))

    def units(self, grouping: Grouping, entities: Mapping[str, Any]) -> UnitRows:
        """Find the units of rows.

        Parameters
        ----------
        grouping
            The rows' groups.
        entities
            The rows' values of the entity columns, as far as they came.
        """
        if self.unit == "group":
            return UnitRows(grouping.texts.tolist(), grouping.codes)
        return entity_units(self.entity, entities, len(grouping.codes))

    def chosen(self, units: UnitRows) -> BoolArray:
        """Whether the challenger has each row, shape (n_rows,): as its own, or in the first place."""
        fraction = _INTERLEAVED if self.mode == "interleave" else self.fraction
        rows: BoolArray = in_challenger(units.hashes(self.salt), fraction)[units.codes]
        return rows & units.named

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        entity = tuple(EntityColumn(**column) for column in described["entity"])
        return cls(**{**described, "entity": entity})
