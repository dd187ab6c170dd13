"""Take the numbers of children over from the stacks of an earlier bundle: gathered as they are, no child is opened.

Only what is proven intact is taken over. Stacks of one description are put together until one is large enough, so
that a weekly update leaves no hundred small ones behind.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from metamodel.bundle.reader import Bundle
from metamodel.prediction.stacks import BuiltStack, is_full

__all__ = ["carried_stacks", "put_together"]


def carried_stacks(bundle: Bundle, keys: Collection[str]) -> Iterator[BuiltStack]:
    """Gather what the stacks of an earlier bundle hold of some groups.

    Parameters
    ----------
    bundle
        The earlier bundle.
    keys
        Encoded keys.
    """
    for stack in bundle.stacks:
        kept = stack.only(keys)
        if kept is not None:
            yield kept


def put_together(stacks: Iterable[BuiltStack]) -> Iterator[BuiltStack]:
    """Join stacks whose arrays mean the same, as far as they fit together; the order of the children is kept."""
    waiting: dict[str, BuiltStack] = {}
    for stack in stacks:
        meaning = _meaning(stack.program)
        before = waiting.pop(meaning, None)
        if before is not None and is_full(_size(before) + _size(stack)):
            yield before
            before = None
        waiting[meaning] = stack if before is None else _joined(before, stack)
    yield from waiting.values()


def _joined(first: BuiltStack, second: BuiltStack) -> BuiltStack:
    program = type(first.program).joined([first.program, second.program])  # type: ignore[list-item]  # of one type
    return BuiltStack(program, [*first.keys, *second.keys], [*first.versions, *second.versions])


def _meaning(program: Any) -> str:
    types = {name: values.dtype.str for name, values in program.arrays.items()}
    return json.dumps([program.family, program.describe(), types], sort_keys=True)


def _size(stack: BuiltStack) -> int:
    return sum(values.nbytes for values in stack.program.arrays.values())
