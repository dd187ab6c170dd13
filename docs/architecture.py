"""Draw the package: floors, modules and lines, and how many imports run from each package to each other one.

`python docs/architecture.py` prints it; `python docs/architecture.py --write` puts it into docs/architecture.md. The
floors are those that import-linter holds (pyproject.toml), the arrows are found by grimp, its library.
"""

import argparse
import re
import tomllib
from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- printed by docs/architecture.py -->", "<!-- end -->"


def floors() -> list[list[str]]:
    """Names on every floor, the lowest one first, as the contract in pyproject.toml has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in reversed(layers)]


def packages() -> list[list[str]]:
    """As `floors`, without the single modules at the top of the package."""
    rows = [[name for name in floor if (ROOT / "metamodel" / name).is_dir()] for floor in floors()]
    return [row for row in rows if row]


def arrows() -> Counter[tuple[str, str]]:
    """Count the imports of modules that lead from a package into another one."""
    graph = grimp.build_graph("metamodel", exclude_type_checking_imports=True, cache_dir=None)
    names = {name for floor in packages() for name in floor}
    counted: Counter[tuple[str, str]] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            arrow = tuple((*module.split("."), "")[1] for module in (importer, imported))
            if arrow[0] != arrow[1] and names.issuperset(arrow):
                counted[arrow] += 1
    return counted


def size(package: str) -> tuple[int, int, int]:
    """Count modules and lines of a package, and the modules in its fullest folder."""
    files = list((ROOT / "metamodel" / package).rglob("*.py"))
    fullest = max(Counter(path.parent for path in files).values())
    return len(files), sum(len(path.read_text().splitlines()) for path in files), fullest


def drawing(counted: Counter[tuple[str, str]]) -> list[str]:
    """Draw floors and arrows; an arrow that others make up for (a → b → c for a → c) is left to the table."""
    targets: dict[str, set[str]] = {}
    for importer, imported in counted:
        targets.setdefault(importer, set()).add(imported)

    def reached(package: str) -> set[str]:
        below = targets.get(package, set())
        return below.union(*(reached(name) for name in below))

    lines = ["```mermaid", "flowchart TD"]
    for number, floor in reversed(list(enumerate(packages(), 1))):
        lines += [f"  subgraph floor{number}[floor {number}]", *(f"    {name}" for name in floor), "  end"]
    for importer, imported in sorted(counted):
        others = targets[importer] - {imported}
        if not any(imported in reached(name) for name in others):
            lines.append(f"  {importer} -->|{counted[importer, imported]}| {imported}")
    return [*lines, "```"]


def table(header: list[str], rows: list[list[object]]) -> list[str]:
    """Set a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def page() -> str:
    """Give all of it, ready for the page."""
    counted, stacked = arrows(), packages()
    top = [(number, name) for number, floor in reversed(list(enumerate(stacked, 1))) for name in floor]
    sizes = table(
        ["floor", "package", "modules", "in the fullest folder", "lines"],
        [[number, f"`{name}/`", *(size(name)[i] for i in (0, 2, 1))] for number, name in top],
    )
    names = [name for _, name in top]
    imported = [name for name in names if any(counted[other, name] for other in names)]
    matrix = table(
        ["imports by ↓ from →", *imported],
        [[f"**{name}**", *(counted[name, other] or "" for other in imported)] for name in names],
    )
    total = f"{len(names)} packages on {len(stacked)} floors, {len(counted)} arrows, {counted.total()} imports."
    return "\n".join([*drawing(counted), "", total, "", *sizes, "", *matrix])


def main() -> None:
    """Print, or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put it into docs/architecture.md")
    if not parser.parse_args().write:
        print(page())
        return
    text = PAGE.read_text()
    inner = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    PAGE.write_text(inner.sub(lambda _: page() + "\n", text))


if __name__ == "__main__":
    main()
