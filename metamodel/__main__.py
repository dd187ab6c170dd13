"""``python -m metamodel``: the command line without an installation, as MLproject uses it."""

from metamodel.cli import main

main(prog_name="metamodel")
