"""Whom the parents answer instead of a group's child, so that outcomes exist which the child did not cause.

Where people act on predictions, what comes true is partly the model's own doing, and its errors look smaller, or
larger, than they are. A small share of entities that somebody else answers shows the difference: a control group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from metamodel.common.arrays import BoolArray
from metamodel.common.messages import listing, short
from metamodel.common.validation import is_number
from metamodel.exceptions import InputError
from metamodel.prediction.rollout.assignment import in_challenger
from metamodel.prediction.rollout.units import EntityColumn, entity_units

__all__ = ["Exploration"]


@dataclass(frozen=True)
class Exploration:
    """A share of entities that are the control group.

    Parameters
    ----------
    share
        Of the entities, above 0 and below 1.
    entity
        Columns that name an entity; a row that lacks one is no control row.
    salt
        The same keeps the control group where it is, whatever version answers; a larger share only adds to it.

    Examples
    --------
    >>> exploration = Exploration.of(0.5, ["customer"], "sales")
    >>> exploration.control({"customer": ["a", "b", "c", "a", None]}, 5).tolist()
    [True, False, False, True, False]
    """

    share: float
    entity: tuple[EntityColumn, ...]
    salt: str

    @classmethod
    def of(cls, share: float, entity: Sequence[str] | str, salt: str) -> Self:
        """Describe a control group; entity columns by ``name`` or ``name:kind``.

        Raises
        ------
        InputError
            The share is none, or nothing names an entity.
        """
        if not is_number(share) or not 0 < share < 1:
            raise InputError(f"explore={short(share)} is no share of entities. Give a number between 0 and 1: 0.01.")
        columns = tuple(EntityColumn.parse(name) for name in ([entity] if isinstance(entity, str) else entity))
        if not columns or len({column.name for column in columns}) < len(columns):
            raise InputError(
                f"explore={share} takes entities, and explore_entity names {listing(entity) or 'none'}. "
                'Name the columns that say whom a row is about, each once: ["customer_id"].'
            )
        return cls(float(share), columns, salt)

    @property
    def entity_names(self) -> tuple[str, ...]:
        """Names of the entity columns."""
        return tuple(column.name for column in self.entity)

    def control(self, entities: Mapping[str, Any], n_rows: int) -> BoolArray:
        """Say which rows are the control group's, shape (n_rows,).

        Parameters
        ----------
        entities
            The rows' values of the entity columns, as far as they came.
        n_rows
            Number of rows.
        """
        units = entity_units(self.entity, entities, n_rows)
        rows: BoolArray = in_challenger(units.hashes(f"explore {self.salt}"), self.share)[units.codes]
        return rows & units.named
