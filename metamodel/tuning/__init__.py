"""Search each group's hyper-parameters on its training part, within a budget of trials and time.

This room knows one group at a time; engines tell it what the group's parent found and when to end.
"""

from metamodel.tuning.budget import Pace, Search, alarm, ends_of_budget, phase_end
from metamodel.tuning.built_in import BUILT_IN
from metamodel.tuning.record import TUNING_COLUMNS, Found, TuningRecord
from metamodel.tuning.sampling import require_optuna
from metamodel.tuning.searching import Tuned, tune
from metamodel.tuning.spaces import Dimension, Space, read_space, spaces_of
from metamodel.tuning.validation import validation_folds

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
