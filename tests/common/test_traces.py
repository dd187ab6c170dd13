"""An error in a log: where it came from, and nothing of what it says."""

import io
import logging
import threading

import pytest

from metamodel.common.traces import log_failure, places, silenced

pytestmark = pytest.mark.tableless

MARK = "marker-41c7"


def _fail() -> None:
    try:
        float(MARK)
    except ValueError as cause:
        raise LookupError(MARK) from cause


def _failed() -> LookupError:
    with pytest.raises(LookupError, match=MARK) as caught:
        _fail()
    return caught.value


def test_one_line_names_kinds_and_places_of_an_error_and_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    log_failure(logging.getLogger("test"), "A request failed", _failed())
    assert "A request failed: LookupError at _fail (" in caplog.text
    assert "; from ValueError at _fail (" in caplog.text
    assert "tests/common/test_traces.py:" in caplog.text
    assert MARK not in caplog.text
    assert caplog.text.count("\n") == 1


def test_causes_in_a_circle_end() -> None:
    error = _failed()
    assert error.__cause__ is not None
    error.__cause__.__cause__ = error
    assert places(error).count("LookupError") == 1


def test_of_a_deep_recursion_the_innermost_places_are_told() -> None:
    def deeper(levels: int) -> None:
        if not levels:
            raise RecursionError(MARK)
        deeper(levels - 1)

    with pytest.raises(RecursionError) as caught:
        deeper(100)
    assert places(caught.value).count("deeper") == 12


def test_what_a_library_logs_in_a_silenced_thread_is_not_written_and_what_others_log_is() -> None:
    library, written = logging.getLogger("a_library"), io.StringIO()
    handler = logging.StreamHandler(written)
    library.addHandler(handler)
    below = logging.getLogger("a_library.of_requests")
    try:
        with silenced("a_library"):
            below.error("here")
            with silenced("a_library"):
                below.error("here")
            below.error("here")
            other = threading.Thread(target=below.error, args=("there",))
            other.start()
            other.join()
        below.error("after")
    finally:
        library.removeHandler(handler)
    assert written.getvalue() == "there\nafter\n"
