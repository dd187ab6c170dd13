"""What is logged, where, and what is left out: options of `metamodel serve`, variables for MLflow's server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from metamodel.common.messages import did_you_mean, listing
from metamodel.common.validation import is_number, one_of
from metamodel.exceptions import InputError
from metamodel.prediction_log.log_columns import DROPPABLE, FEATURE_PREFIX

__all__ = ["LOG_VARIABLES", "LogFeatures", "LogSettings"]

LogFeatures = Literal["none", "counts", "all"]

# Field of the settings → the variable that sets it where no option does.
LOG_VARIABLES = {
    "folder": "METAMODEL_LOG",
    "sample": "METAMODEL_LOG_SAMPLE",
    "features": "METAMODEL_LOG_FEATURES",
    "drop": "METAMODEL_LOG_DROP",
    "row_id": "METAMODEL_LOG_ID",
    "entity": "METAMODEL_LOG_ENTITY",
    "secret": "METAMODEL_LOG_SECRET",
}


@dataclass(frozen=True)
class LogSettings:
    """What one log holds.

    Parameters
    ----------
    folder
        Where; on a disk of this machine, or one that is mounted.
    sample
        Share of the rows, chosen by a hash of the row: the same row is always in, or never.
    features
        "none": who answered what. "counts": besides, how many rows fell into which bin of their group's reference, by
        day and feature, without any value. "all": besides, every row's features.
    drop
        Features that are not logged, and columns of the log that stay empty.
    row_id
        Column of the request that names a row; where it is not there a name is made up.
    entity
        Columns of the request that name whom a row is about; their pseudonym is logged.
    secret
        Key of the pseudonyms. Never in the log.

    Raises
    ------
    InputError
        A value cannot be, or an entity is to be logged without a secret.
    """

    folder: Path
    sample: float = 1.0
    features: LogFeatures = "counts"
    drop: tuple[str, ...] = ()
    row_id: str = "row_id"
    entity: tuple[str, ...] = ()
    secret: str = ""

    def __post_init__(self) -> None:
        if not is_number(self.sample) or not 0 < self.sample <= 1:
            raise InputError(f"log_sample={self.sample!r} is no share of the rows. Give a number above 0, at most 1.")
        one_of("log_features", self.features, get_args(LogFeatures))
        if self.entity and not self.secret:
            raise InputError(
                f"log_entity={listing(self.entity)} is logged as a pseudonym, whose key is missing. "
                f"Set {LOG_VARIABLES['secret']} to a long random text, and keep it: without it nobody can be forgotten."
            )

    def __repr__(self) -> str:
        return f"LogSettings({str(self.folder)!r}, sample={self.sample:g}, features={self.features!r})"

    @classmethod
    def of(cls, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Self | None:
        """Complete options with the environment's variables; None where no folder is named.

        Parameters
        ----------
        given
            Fields; what is None or empty is not given.
        environment
            Variables; of this process by default.

        Examples
        --------
        >>> LogSettings.of({"sample": 0.5}, {"METAMODEL_LOG": "log", "METAMODEL_LOG_DROP": "age, name"}).drop
        ('age', 'name')
        >>> LogSettings.of({}, {}) is None
        True
        """
        variables = os.environ if environment is None else environment
        written = {name: variables.get(variable) for name, variable in LOG_VARIABLES.items()}
        fields = {name: value for name, value in {**written, **_present(given)}.items() if value not in (None, "", ())}
        if "folder" not in fields:
            return None
        fields["folder"] = Path(fields["folder"])
        for name in ("drop", "entity"):
            fields[name] = _names(fields.get(name, ()))
        if isinstance(fields.get("sample"), str):
            fields["sample"] = _number(fields["sample"])
        return cls(**fields)

    def check_drop(self, features: tuple[str, ...]) -> None:
        """Insist that every dropped column exists; `features` are the model's.

        Raises
        ------
        InputError
            One does not: what was to be kept out would be logged.
        """
        possible = (*features, *DROPPABLE)
        if unknown := [name for name in self.drop if name not in possible]:
            raise InputError(
                f"log_drop={listing(unknown)} is neither a feature of the model nor a column of the log that can be "
                f"left out ({', '.join(DROPPABLE)}).{did_you_mean(unknown, possible)}"
            )

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the rows that the log wants besides the model's own → how a field of CSV is read there.

        An id is the text that it is ("007"), as labels have it; an entity the whole number that it looks like, as JSON
        has it.
        """
        return dict.fromkeys(self.entity, "integer") | {self.row_id: "text"}

    def kept_features(self, names: tuple[str, ...]) -> dict[str, str]:
        """Features that are logged or counted → their columns in a table of rows."""
        return {name: f"{FEATURE_PREFIX}{name}" for name in names if name not in self.drop}


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in (None, "", ())}


def _names(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in names if name.strip())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{LOG_VARIABLES['sample']}={text!r} is no number. Give a share, such as 0.1.") from error
