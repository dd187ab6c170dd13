"""What the tests of the log share: both ways to keep a compacted one."""

import pytest

from metamodel.prediction_log import log_store


@pytest.fixture(params=["delta", "hive"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to keep a compacted log."""
    if request.param == "hive":
        monkeypatch.setattr(log_store, "find_spec", lambda _: None)
    return request.param
