"""The process of a command."""

import forked_programs
import pytest

pytestmark = pytest.mark.tableless

# Leaves garbage that says when it is looked for.
_GARBAGE = """
import gc
class Ring:
    def __init__(self):
        self.ring = self
    def __del__(self):
        print("looked for")
gc.disable()
Ring()
"""


def test_a_process_ends_without_looking_for_garbage() -> None:
    done = forked_programs.run("metamodel", "inspect", "nothing", before=_GARBAGE)
    assert (done.returncode, done.stdout) == (2, "")
    assert forked_programs.run("metamodel", "--version", before=_GARBAGE).stdout.endswith("looked for\n")
