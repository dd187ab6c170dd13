"""Every error that metamodel raises on purpose: one tree, every leaf picklable.

::

    MetaModelError
    ├── InputError             the caller's table, option or file is wrong (command line: exit code 2)
    │   ├── MissingColumns
    │   ├── InvalidKey         a group key that cannot be brought to the key schema
    │   ├── UnknownChoice      an option's value is none of its few words
    │   └── UnknownEstimator
    ├── TrainingError
    │   ├── AllGroupsFailed
    │   ├── LoggingFailed      what was trained, or some of its children, could not be logged
    │   └── WorkerDied         a worker process was killed while it fitted a named group
    ├── StorageFailed          the disk is full, or a file or database of this machine fails
    ├── TrackingServerUnavailable  nobody answers at the tracking URI, or not to these credentials
    ├── GateFailed             a version that has to has not passed its gate (command line: exit code 3)
    ├── UnknownGroup           no child model for a group
    │   └── TrainingFailed     ... because its training failed
    ├── ChildFailed            a child model raised while it predicted
    │   └── RowsRefused        one that is far away says that the rows are at fault
    ├── ChallengerFailed       a roll-out's challenger did not answer, or not in time
    └── BundleError
        ├── UnreadableBundle   not a bundle, half-written, or of an unknown format version
        ├── CorruptBundle      bytes on disk are not the bytes that were written
        ├── ForbiddenCodec     the environment forbids the codec the bundle was written with
        └── ChildUnavailable   a child that lives elsewhere cannot be fetched, or does not answer

A message says fact, evidence, remedy, and holds everything a reader needs: errors cross process borders (joblib,
Spark) as their arguments alone, so no class here has an ``__init__`` of its own. What a server may tell its callers
is decided in :mod:`metamodel.flavor.pyfunc`, because a message may name group keys and these are the callers' data.
"""

__all__ = [
    "AllGroupsFailed",
    "BundleError",
    "ChallengerFailed",
    "ChildFailed",
    "ChildUnavailable",
    "CorruptBundle",
    "ForbiddenCodec",
    "GateFailed",
    "InputError",
    "InvalidKey",
    "LoggingFailed",
    "MetaModelError",
    "MissingColumns",
    "RowsRefused",
    "StorageFailed",
    "TrackingServerUnavailable",
    "TrainingError",
    "TrainingFailed",
    "UnknownChoice",
    "UnknownEstimator",
    "UnknownGroup",
    "UnreadableBundle",
    "WorkerDied",
]


class MetaModelError(Exception):
    """Base of every error that metamodel raises on purpose."""


class InputError(MetaModelError, ValueError):
    """The caller's table, option or file is wrong."""


class MissingColumns(InputError):
    """A table lacks columns that are needed."""


class InvalidKey(InputError):
    """A value of a group column cannot be brought to the recorded kind without loss."""


class UnknownChoice(InputError):
    """An option has a value that is none of a few words: the message, and the same without the value."""

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def public(self) -> str:
        """What may be told, and logged, where the value is a stranger's."""
        return str(self.args[-1])


class UnknownEstimator(InputError):
    """An estimator's name or dotted path leads to no estimator."""


class TrainingError(MetaModelError):
    """Training as a whole could not be finished."""


class AllGroupsFailed(TrainingError):
    """Not one group could be fitted, so there is no model to write."""


class LoggingFailed(TrainingError):
    """What was trained could not be logged, so nothing was registered; the message says how to log it again."""


class WorkerDied(TrainingError):
    """A worker process was killed; the message names the group it was fitting."""


class StorageFailed(MetaModelError):
    """The disk is full, or a file or a database of this machine cannot be used."""


class TrackingServerUnavailable(MetaModelError):
    """Nobody answers at the tracking URI, or not to these credentials; nothing was begun."""


class GateFailed(MetaModelError):
    """A version that has to has not passed its gate."""


class UnknownGroup(MetaModelError, LookupError):
    """There is no child model for a group."""


class TrainingFailed(UnknownGroup):
    """The group is known, but its training failed, so it has no child model."""


class ChildFailed(MetaModelError):
    """A child model raised while it predicted."""


class RowsRefused(ChildFailed):
    """A child that is far away says that these rows are at fault; it may answer some of them.

    Parameters
    ----------
    message
        Why.
    column
        The feature whose missing values it does not take, where that is known: rows that have one may be answered.
    """

    def __init__(self, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.column = column


class ChallengerFailed(MetaModelError):
    """A roll-out's challenger did not answer, or not in time; the champion does."""


class BundleError(MetaModelError):
    """A bundle cannot be used."""


class UnreadableBundle(BundleError):
    """The directory holds no bundle, half a bundle, or one of an unknown format version."""


class CorruptBundle(BundleError):
    """Bytes read from a bundle are not the bytes that were written."""


class ForbiddenCodec(BundleError):
    """The environment forbids deserializing with the bundle's codec."""


class ChildUnavailable(BundleError):
    """A child that lives elsewhere cannot be fetched, or does not answer."""
