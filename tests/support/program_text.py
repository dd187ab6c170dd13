"""Runs the program that its first argument holds, as ``python -c`` does; for a process that has nothing to import."""

import sys

if __name__ == "__main__":
    exec(compile(sys.argv.pop(1), "<program>", "exec"), {"__name__": "__main__"})
