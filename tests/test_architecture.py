"""The house: packages on floors that import-linter holds, names that mean one thing, files of one reading."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from parsed_files import parsed

pytestmark = pytest.mark.tableless

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "metamodel"
FILES = sorted(PACKAGE.rglob("*.py"))

# One name in several packages, because it means the same: this package's way to do it.
SAME_MEANING = {
    "local.py": "on this machine",
    "spark.py": "on Spark",
    "equal_rows.py": "of a table, and of a table of Spark's",
    "train.py": "the public function, and its command",
    "explain.py": "the public function, and its command",
    "export.py": "the public function, and its command",
    "history.py": "the public function, and its command",
    "score.py": "the public function, and its command",
    "update.py": "the public function, and its command",
    "gate.py": "the public function, and its command",
    "promote.py": "the public function, and its command",
    "rollback.py": "the public function, and its command",
    "compare_variants.py": "the public function, and its command",
    "rollout.py": "the public function, and its command",
    "monitor.py": "the public function, and its command",
    "acknowledge.py": "the public function, and its command",
    "versions.py": "the public function, and its command",
    "options.py": "of the training, and of its command",
    "config.py": "of the training, and of its command",
    "__init__.py": "the package",
}


# Says what the package knows and what it must not know.
LIMITS = (" nothing of ", " no ", " nor ", " neither ", " not ", " nothing", " alone", " never ")

FAULTS = {
    "up: common imports tables": ("common/messages.py", "metamodel.tables.keys", "Floors"),
    "aside: evaluation imports prediction": ("evaluation/metrics.py", "metamodel.prediction.child", "Floors"),
    "in a circle: keys and grouping": ("tables/keys.py", "metamodel.tables.grouping", "circle"),
    "MLflow below its floor": ("bundle/reader.py", "mlflow", "MLflow"),
    "Spark outside its modules": ("training/plan.py", "pyspark", "Spark"),
    "joblib outside its modules": ("fitting/fit.py", "joblib", "joblib"),
}


def _architecture() -> Any:
    """Import docs/architecture.py."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every module of the package, parsed once for all tests of this file, and for no longer."""
    return parsed(FILES)


Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def functions(trees: dict[Path, ast.Module]) -> list[tuple[str, Function]]:
    """Every function of the package, with its file."""
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]


def test_no_file_has_more_than_330_lines() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: number for name, number in lines.items() if number > 330} == {}


def test_no_folder_has_more_than_25_files() -> None:
    folders = {path.parent for path in FILES}
    files = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: number for name, number in files.items() if number > 25} == {}


def _does_something(tree: ast.Module) -> bool:
    """Whether a module holds a function or class of its own."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return any(isinstance(node, definitions) for node in tree.body)


def test_at_least_80_percent_of_the_modules_have_a_test_file_of_their_name(trees: dict[Path, ast.Module]) -> None:
    """A module's tests are found where it stands itself: `tables/keys.py` in `tests/tables/test_keys.py`."""
    modules = [
        path.relative_to(PACKAGE)
        for path, tree in trees.items()
        if not path.stem.startswith("__") and _does_something(tree)
    ]
    missing = [path.as_posix() for path in modules if not (ROOT / "tests" / path.parent / f"test_{path.name}").exists()]
    assert len(missing) <= 0.2 * len(modules), missing


def test_at_most_17_packages_stand_on_at_most_8_floors() -> None:
    floors = _architecture().packages()
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert sorted(name for floor in floors for name in floor) == sorted(folders)
    assert len(folders) <= 17
    assert len(floors) <= 8


def test_no_function_has_more_than_10_parameters_but_train_and_commands(functions: list[tuple[str, Function]]) -> None:
    many = []
    for file, function in functions:
        arguments = function.args
        number = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
        if number > 10 and not file.startswith("cli/") and (file, function.name) not in PUBLIC:
            many.append(f"{file}: {function.name} has {number}")
    assert many == []


# The public calls, whose keywords are options.
PUBLIC = {
    ("training/train.py", "train"),
    ("tracking/references/reference_model.py", "write_references"),
    ("tracking/log_training.py", "log_model"),
    ("monitoring/monitor.py", "monitor"),
}


# Words that say nothing of what a variable holds. A node's `left` child and a `part` of a table are terms.
VAGUE = {"found", "one", "own", "known", "before", "wanted"}


def test_variables_of_longer_functions_name_the_thing(functions: list[tuple[str, Function]]) -> None:
    vague = []
    for file, function in functions:
        documented = len((ast.get_docstring(function) or "").splitlines())
        if (function.end_lineno or 0) - function.lineno + 1 - documented <= 15:
            continue
        bound = {
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        vague += [f"{file}: {function.name} binds {name}" for name in sorted(bound & VAGUE)]
    assert vague == []


def test_no_file_name_stands_in_two_packages_unless_it_means_the_same() -> None:
    places = defaultdict(set)
    for path in FILES:
        if path.name not in SAME_MEANING:
            places[path.name].add(path.parent.relative_to(ROOT).as_posix())
    assert {name: sorted(folders) for name, folders in places.items() if len(folders) > 1} == {}


def test_no_class_name_means_two_things(trees: dict[Path, ast.Module]) -> None:
    """Private names aside: they are read beside what they mean."""
    places = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_public_function_name_means_two_things(trees: dict[Path, ast.Module]) -> None:
    """A command is named like the function that it calls, and a public function like the one it dispatches to."""
    places = defaultdict(set)
    for path, tree in trees.items():
        for node in tree.body:
            package = path.relative_to(PACKAGE).parts[0]
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and package != "cli":
                places[node.name].add(path.relative_to(PACKAGE).as_posix())
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("package", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_every_package_says_what_it_must_not_know(package: str, trees: dict[Path, ast.Module]) -> None:
    words = ast.get_docstring(trees[PACKAGE / package / "__init__.py"]) or ""
    assert any(limit in f" {words} ".replace("\n", " ") for limit in LIMITS), words


def test_the_page_names_every_package_and_every_floor() -> None:
    """`python docs/architecture.py --write` draws the picture anew."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawn = page.partition("```mermaid")[2].partition("```")[0]
    for number, floor in enumerate(_architecture().packages(), 1):
        inside = drawn.partition(f"subgraph floor{number}[")[2].partition("end")[0].split("\n")[1:]
        assert sorted(filter(None, map(str.strip, inside))) == sorted(floor)


def test_importing_the_package_imports_no_heavy_library() -> None:
    program = "import sys, metamodel; print({'mlflow', 'sklearn', 'pyspark', 'scipy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout == "set()\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package and its contracts, to plant faults into."""
    directory = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, directory / "metamodel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


def _lint(house: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    wide = {**os.environ, "COLUMNS": "200"}  # a contract's name in one line
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=120,
        env=wide,
        check=False,
    )


def test_the_contracts_are_kept(house: Path) -> None:
    run = _lint(house)
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_import_breaks_its_contract(house: Path, fault: str) -> None:
    file, imported, contract = FAULTS[fault]
    path = house / "metamodel" / file
    text = path.read_text()
    path.write_text(f"{text}\n\nimport {imported}\n")
    try:
        run = _lint(house)
    finally:
        path.write_text(text)
    assert run.returncode == 1, run.stdout
    assert any(contract in line and "BROKEN" in line for line in run.stdout.splitlines()), run.stdout
