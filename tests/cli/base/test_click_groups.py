"""How the commands show themselves: in the order of use, options under headings, and errors of use on one line."""

import re

import pytest
from click.testing import CliRunner
from command_line import run

from metamodel.cli import main


@pytest.mark.parametrize("command", ["train", "score", "inspect", "export"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_help_of_train_has_every_option_once() -> None:
    text = run("train", "--help").stdout
    listed = re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE)
    command = main.commands["train"]
    expected = [option.opts[-1] for option in command.params if not option.hidden]  # type: ignore[attr-defined]

    assert sorted(listed) == sorted([*expected, "--help"])
    assert text.index("Table and model:") < text.index("Judging:") < text.index("Other:")


def test_commands_are_listed_in_the_order_of_use() -> None:
    names = re.findall(r"^  ([a-z-]+)  ", run("--help").stdout.partition("Commands:")[2], re.MULTILINE)

    assert names[:4] == ["train", "log", "score", "serve"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], r"No such command 'trian'. Did you mean 'train'\? `metamodel --help` says what there is."),
        (["train"], "Missing option '--data'. `metamodel train --help` says what there is."),
        (
            ["score", "--modle", "m"],
            "No such option '--modle'. Did you mean .*`metamodel score --help` says what there",
        ),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments, prog_name="metamodel")

    assert result.exit_code == 2
    assert re.fullmatch(f"error: {message}.*\n", result.stderr)
