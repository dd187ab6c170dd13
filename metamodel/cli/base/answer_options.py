"""The options of whatever answers: who its control group is; where answers are logged, and what is in the log."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from metamodel.cli.base.options import Names, Number, option

if TYPE_CHECKING:
    from metamodel.prediction_log.log_settings import LogSettings

__all__ = ["explore_options", "log_options", "pop_log"]

_EXPLORE = (
    option("--explore", type=Number("SHARE", "share"), help="Let parents answer this share of the entities; 0: none."),
    option("--explore-entity", type=Names(), help="With --explore: columns that name an entity; default: as trained."),
)

_FIELDS = ("sample", "features", "drop", "row_id", "entity")

_LOG = (
    option("--log", metavar="DIR", help="Log the answers here, in files of Parquet (docs/prediction_log.md)."),
    option("--log-sample", type=Number("SHARE", "share"), help="Log this share of the rows; default: all."),
    option("--log-features", metavar="[none|counts|all]", help="Of the features: nothing, counts (default), or all."),
    option("--log-drop", help="Features and columns of the log to leave empty, comma-separated."),
    option("--log-id", "log_row_id", help="Column that names a row; default: row_id."),
    option("--log-entity", help="Columns that name whom a row is about; logged as a pseudonym."),
)


_Command = TypeVar("_Command", bound=Callable[..., Any])


def explore_options(command: _Command) -> _Command:
    """Give a command the options of a control group."""
    return _with(command, _EXPLORE)


def log_options(command: _Command) -> _Command:
    """Give a command the options of a log."""
    return _with(command, _LOG)


def _with(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for one in reversed(options):
        command = one(command)
    return command


def pop_log(options: dict[str, Any]) -> "LogSettings | None":
    """Take what was said of the log out of a command's options; None where no log is kept.

    Raises
    ------
    InputError
        A setting cannot be.
    """
    from metamodel.prediction_log.log_settings import LogSettings

    given = {"folder": options.pop("log")}
    return LogSettings.of(given | {name: options.pop(f"log_{name}") for name in _FIELDS})
