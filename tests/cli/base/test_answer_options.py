"""Whoever logs has the same options of the log."""

import pytest

from metamodel.cli import main
from metamodel.cli.base.answer_options import pop_log

GIVEN = {"log": None, "log_sample": None, "log_features": None, "log_drop": "", "log_row_id": None, "log_entity": None}


@pytest.mark.parametrize("name", ["serve", "score"])
def test_commands_that_answer_have_every_option_of_the_log(name: str) -> None:
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert set(GIVEN) <= {parameter.name for parameter in command.params}


def test_what_was_said_of_the_log_becomes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METAMODEL_LOG", raising=False)
    options = {**GIVEN, "detail": True}
    assert pop_log(options) is None
    assert options == {"detail": True}
    settings = pop_log({**GIVEN, "log": "here", "log_sample": 0.5, "log_drop": "age"})
    assert settings is not None
    assert (str(settings.folder), settings.sample, settings.drop, settings.features) == (
        "here",
        0.5,
        ("age",),
        "counts",
    )
