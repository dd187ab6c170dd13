"""Many children of one family evaluated as one array program: arrays in, arrays out, no files. No ensemble.

A *form* is what one child comes to as numbers; a *program* holds the forms of many children and answers a mixed batch
without touching the children: that is all that is imported here, since whoever only answers needs no scikit-learn.
Training imports what reads children, too: `verification.Prover` takes children in and lets only those through that
their program answers as they do themselves; `builder.StackBuilder` gathers these.
"""

from metamodel.prediction.stacks.programs import BuiltStack, is_full, load_program, warm_up

__all__ = ["BuiltStack", "is_full", "load_program", "warm_up"]
