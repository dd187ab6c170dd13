"""The rows of one call and what was answered, as both servers and batch scoring hand them over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.prediction.answers import Answers
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping

__all__ = ["AnsweredRows", "LoggedModel"]


@dataclass(frozen=True)
class LoggedModel:
    """Which model answered, as a log names it.

    Parameters
    ----------
    name
        Of the registered model; where it is none, whatever tells it from others.
    version
        Its version; "" where it has none.
    task, label_kind
        Say of which type predictions are.
    features
        The model's features, in order.
    reference
        The bins in which rows are counted; None where there are none, or nothing is counted.
    challenger_share
        Of a roll-out that divides the units: which share of them the challenger is to have.
    """

    name: str
    version: str
    task: str
    label_kind: str | None
    features: tuple[Feature, ...]
    reference: ModelReference | None = field(default=None, compare=False, repr=False)
    challenger_share: float | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)


@dataclass(eq=False, slots=True)  # not frozen: one is made for each row of a server, in a third of the time
class AnsweredRows:
    """The rows of one call.

    Parameters
    ----------
    model
        Who answered.
    grouping, columns
        The rows as they were read.
    answers
        What was answered.
    microseconds
        When, since 1970.
    seconds
        How long the model took for all of them.
    sent
        Further columns of the request by their names, as far as they came: the rows' ids and entities.
    """

    model: LoggedModel
    grouping: Grouping
    columns: FeatureColumns
    answers: Answers
    microseconds: int
    seconds: float
    sent: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.grouping.codes)

    @property
    def is_known(self) -> bool:
        """Whether all is known that is to be logged of these rows: a challenger in the shadow answers later."""
        shadow = self.answers.shadow
        return shadow is None or shadow.done
