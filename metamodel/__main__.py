"""``python -m metamodel``, and the command `metamodel`: the command line, in a process of its own."""

from metamodel.common.collecting import collect_seldom

__all__ = ["run"]

collect_seldom()  # before the libraries come

from metamodel.cli import main  # noqa: E402


def run() -> None:
    """Run the command line."""
    main(prog_name="metamodel")


if __name__ == "__main__":
    run()
