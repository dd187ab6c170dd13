"""Fit many groups at once as arrays, to the bits of fitting each by itself: a faster way, and no other answer.

What is fitted is described by numbers; the estimators themselves are made of them where they are wanted. It knows no
file, no process and no bundle.
"""

from metamodel.fitting.array_fits.fit_many import ManyFits, ManyGroups, fit_many_groups
from metamodel.fitting.array_fits.many_contests import with_contests
from metamodel.fitting.array_fits.program import ArrayProgram, LinearAnswers, answers_of, program_of

__all__ = [
    "ArrayProgram",
    "LinearAnswers",
    "ManyFits",
    "ManyGroups",
    "answers_of",
    "fit_many_groups",
    "program_of",
    "with_contests",
]
