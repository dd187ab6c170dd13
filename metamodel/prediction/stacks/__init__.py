"""Many children of one family evaluated as one array program: arrays in, arrays out, no files. No ensemble.

A *form* is what one child comes to as numbers; a *program* holds the forms of many children and answers a mixed batch
without touching the children. `Prover` takes children in and lets only those through that their program answers as they
do themselves; `StackBuilder` gathers these.
"""

from metamodel.prediction.stacks.builder import BuiltStack, StackBuilder, is_full, load_program, warm_up, why_not
from metamodel.prediction.stacks.verification import Proven, Prover

__all__ = ["BuiltStack", "Proven", "Prover", "StackBuilder", "is_full", "load_program", "warm_up", "why_not"]
