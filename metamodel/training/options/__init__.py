"""The options of a training: declared by group, checked, and what can stand for several of them.

It knows no table and no estimator. `groups` is where an option is declared.
"""

from metamodel.common.option import OptionGroup
from metamodel.training.options.groups import (
    Answering,
    Expectations,
    Groups,
    Inputs,
    Judging,
    Model,
    Output,
    Roles,
    ShrinkageArguments,
    Tuning,
    WarmStart,
    Work,
)
from metamodel.training.options.retraining import Retraining
from metamodel.training.options.training_options import TrainingOptions

__all__ = ["OPTION_GROUPS", "Inputs", "TrainingOptions", "Tuning"]

# In the order of the help; the commands of other packages add their own.
OPTION_GROUPS = (
    OptionGroup("table", "Table and model", (Model, Roles)),
    OptionGroup("groups", "Groups", (Groups,)),
    OptionGroup("judging", "Judging", (Judging,)),
    OptionGroup("checks", "Data checks and earlier versions", (Expectations, WarmStart)),
    OptionGroup("retraining", "Retraining a part", (Retraining,)),
    OptionGroup("tuning", "Search for parameters", (Tuning,)),
    OptionGroup("answers", "Answers", (Answering, ShrinkageArguments)),
    OptionGroup("work", "Work", (Work, Output)),
)
