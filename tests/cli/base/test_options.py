"""Options of the command line, and the page of all options, are what was declared."""

import importlib.util

import pytest
from click.testing import CliRunner
from places import ROOT

from metamodel.bundle.references import ReferenceSettings
from metamodel.cli import main
from metamodel.cli.base.config import keys_of
from metamodel.tracking.options import RUN_GROUPS, Logging

OPTIONS = {one.name: one for group in RUN_GROUPS for one in group.options}


def test_the_train_command_has_every_declared_option_and_no_other() -> None:
    assert set(keys_of(main.commands["train"])) == {*OPTIONS, "json"}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_the_train_command_is_what_was_declared(name: str) -> None:
    option, declared = keys_of(main.commands["train"])[name], OPTIONS[name]

    assert option.required == declared.required
    assert declared.required or option.default == declared.default
    assert option.help == declared.help


def test_the_page_of_options_is_what_was_declared() -> None:
    spec = importlib.util.spec_from_file_location("make_options", ROOT / "docs/make_options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert (ROOT / "docs/options.md").read_text(encoding="utf-8") == module.page(), "python docs/make_options.py"


def test_the_server_is_spared_as_the_settings_spare_it() -> None:
    declared, settings = Logging(), ReferenceSettings()
    spared = settings.requests_per_second, settings.concurrency, settings.patience_seconds
    assert (declared.rate, declared.concurrency, declared.server_patience) == spared


@pytest.mark.parametrize("option", ["--log-children", "--predict-method"])
def test_a_word_that_is_no_choice_is_refused_before_the_work(option: str) -> None:
    needed = ["--data", "nowhere.csv", "--group-by", "a", "--target", "y"]
    result = CliRunner().invoke(main, ["train", *needed, option, "odd"])

    assert result.exit_code == 2
    assert "='odd' is unknown. Use one of: " in result.stderr
