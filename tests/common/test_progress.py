"""Progress on stderr: counts by status, and quiet where nobody looks."""

import pytest

from metamodel.common.progress import TrainingProgress, progress_bar, say

pytestmark = pytest.mark.tableless


def test_groups_are_counted_by_status() -> None:
    with TrainingProgress(3) as progress:
        progress.add(["fitted", "failed"])
        progress.add(["fitted"])
        assert (progress._bar.n, progress._bar.total) == (3, 3)
        assert progress._bar.postfix == "fitted=2, skipped=0, failed=1"


def test_a_short_run_without_a_terminal_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(2, "work") as bar:
        bar.update(2)
    assert "work" not in capsys.readouterr().err


def test_a_line_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("a line")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a line\n")
