"""What a store logs is cut to what a command does not say itself."""

import logging

from metamodel.common.failures import without_walls


def test_of_a_stores_log_the_first_line_of_an_error_remains_and_nothing_of_its_own_affairs() -> None:
    created = logging.LogRecord("store", logging.INFO, "", 0, "Creating initial MLflow database tables...", (), None)
    wall = logging.LogRecord("store", logging.ERROR, "", 0, "a strange answer\n%s", ("SELECT 1",), None)
    assert not without_walls(created)
    assert without_walls(wall)
    assert wall.getMessage() == "a strange answer"
