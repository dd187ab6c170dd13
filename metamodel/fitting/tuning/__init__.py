"""Search each group's hyper-parameters on its training part, within a budget of trials and time.

This package knows one group at a time; engines tell it what the group's parent found and when to end.
"""

from metamodel.fitting.tuning.budget import Pace, Search, alarm, ends_of_budget, phase_end
from metamodel.fitting.tuning.default_spaces import BUILT_IN
from metamodel.fitting.tuning.folds import validation_folds
from metamodel.fitting.tuning.optuna_sampler import require_optuna
from metamodel.fitting.tuning.record import TUNING_COLUMNS, Found, TuningRecord
from metamodel.fitting.tuning.search import Tuned, tune
from metamodel.fitting.tuning.spaces import Dimension, Space, read_space, spaces_of

__all__ = [
    "BUILT_IN",
    "TUNING_COLUMNS",
    "Dimension",
    "Found",
    "Pace",
    "Search",
    "Space",
    "Tuned",
    "TuningRecord",
    "alarm",
    "ends_of_budget",
    "phase_end",
    "read_space",
    "require_optuna",
    "spaces_of",
    "tune",
    "validation_folds",
]
