"""Programs that hold many children as arrays: what opens, answers and closes stacks. Imports no library of children."""

from dataclasses import dataclass
from typing import Any

from metamodel.common.arrays import AnyArray
from metamodel.prediction.stacks.linear import LinearForm, LinearProgram
from metamodel.prediction.stacks.trees import TreeForm, TreeProgram, kernel_available

__all__ = ["PROGRAMS", "BuiltStack", "Form", "Program", "is_full", "load_program", "warm_up"]

Form = LinearForm | TreeForm

Program = LinearProgram | TreeProgram

PROGRAMS: dict[str, Any] = {program.family: program for program in (LinearProgram, TreeProgram)}

# Bytes of arrays from which on a stack is closed and the next one begins: what is being built must fit into memory.
_STACK_BYTES = 2**28


@dataclass(frozen=True)
class BuiltStack:
    """A program with the names of its children: encoded keys and versions, in order."""

    program: Program
    keys: list[str]
    versions: list[str]


def is_full(nbytes: int) -> bool:
    """Whether a stack of arrays of so many bytes is closed, and the next one begins."""
    return nbytes >= _STACK_BYTES


def load_program(description: dict[str, Any], arrays: dict[str, AnyArray]) -> Program:
    """Build a program from what `Program.describe` gave and from its arrays."""
    program: Program = PROGRAMS[description["family"]].load(description, arrays)
    return program


def warm_up(family: str) -> None:
    """Compile a family's kernel, or load the one compiled before, so that the first answer does not wait for it."""
    if family == TreeProgram.family:
        kernel_available()
