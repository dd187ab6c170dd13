"""Results are put together in the order of their tasks, so that the same training writes the same files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import forked_programs
import pytest
from same_bundles import assert_same
from serving import sales

import metamodel
from metamodel.bundle.diagnostics import Evidence
from metamodel.training.engines.executor import SequentialExecutor
from metamodel.training.engines.in_turn import InTurn, Turns
from metamodel.training.engines.task import Task, TaskResult


def result(turn: int | None) -> TaskResult:
    return TaskResult(Path("a"), [], Evidence(), [], turn=turn)


def test_results_wait_for_those_before_them() -> None:
    queue = InTurn()
    came = [[done.turn for done in queue.ready(result(turn))] for turn in (2, 0, None, 1, 3)]
    assert came == [[], [0], [None], [1, 2], [3]]
    queue.check_empty()


def test_a_turn_that_never_comes_is_told() -> None:
    queue = InTurn()
    assert not list(queue.ready(result(1)))
    with pytest.raises(RuntimeError, match=r"Results of the tasks \[1\] came, and none of task 0\."):
        queue.check_empty()


def test_the_turns_of_a_phase_follow_those_of_the_phases_before() -> None:
    turns = Turns()
    phases = [[1, 0], [0], [None], [1, 0]]
    numbered = [[done.turn for done in turns.numbered(map(result, phase))] for phase in phases]
    assert numbered == [[1, 0], [2], [None], [5, 4]]


def test_whatever_task_is_done_first_the_bundle_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = sales().drop(columns=["colour", "count"])
    run = SequentialExecutor.run

    def backwards(self: SequentialExecutor, tasks: Sequence[Task], job: object) -> Iterator[TaskResult]:
        return run(self, tasks[::-1], job)  # type: ignore[arg-type]

    for name in ("forwards", "backwards"):
        if name == "backwards":
            monkeypatch.setattr(SequentialExecutor, "run", backwards)
        of = ["ridge", "decision_tree"]
        metamodel.train(table, ["country", "store"], "sales", of, n_jobs=1, output_dir=tmp_path / name)
    assert_same(tmp_path / "forwards", tmp_path / "backwards")


COLD = """
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor
from metamodel.bundle import codecs
from metamodel.fitting.group import GroupOutcome
from metamodel.training.engines.group_fitter import _row_of_child

codecs._DIGITS = 9
codec, x = codecs.get_codec("cloudpickle"), np.arange(12.0).reshape(6, 2)
blobs = {type(child).__name__: codec.dumps(child.fit(x, x[:, 0])) for child in (Ridge(), DecisionTreeRegressor())}
for _ in range(2):
    measured = {}
    for name, blob in blobs.items():
        _row_of_child(GroupOutcome(("FR",), "fitted", 6, estimator=name), codec, blob, measured)
    print(measured)
"""


def test_the_first_child_of_a_class_that_nobody_has_loaded_is_measured_as_when_many_have() -> None:
    """Objects of a class take less and less until some tens of them were made; so this wants a process of its own."""
    done = forked_programs.run("program_text", COLD)
    assert done.returncode == 0, done.stderr
    cold, warm = done.stdout.splitlines()
    assert cold == warm
