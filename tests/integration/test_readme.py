"""What the README shows is what comes out."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from places import ROOT
from stores import new_store

from metamodel.cli import main

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def started() -> dict[str, Any]:
    """The names that the first block of Python leaves behind."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    names: dict[str, Any] = {}
    exec(block, names)
    return names


def test_the_start_runs_as_it_stands(started: dict[str, Any]) -> None:
    statuses = started["model"].predict(started["sales"])["status"]
    assert statuses.str.fullmatch("child|parent:[12]|global").all()


def test_the_answer_to_the_readmes_request_is_the_one_it_shows(started: dict[str, Any]) -> None:
    body = json.loads(re.search(r"-d '(\{.*?\})'\n```", README, re.DOTALL).group(1))
    shown = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL).group(1))["predictions"]
    answers = started["model"].predict(pd.DataFrame(body["dataframe_records"]), body["params"])
    predictions = [None if pd.isna(value) else value for value in answers["prediction"]]
    assert predictions == [pytest.approx(row["prediction"]) if row["prediction"] else None for row in shown]
    # The digest of a child depends on the versions of its libraries, all other columns on the data alone.
    columns = ["status", "key", "level", "error"]
    assert answers[columns].to_dict("records") == [{name: row[name] for name in columns} for row in shown]


@pytest.mark.slow
def test_the_commands_for_the_sample_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "sales.yaml", tmp_path)
    # MLflow numbers the versions of a name in one store: the first is 1.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    # As on a machine with one core: to start processes that fit takes longer than to fit here.
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    for first in ("metamodel train", "metamodel monitor"):
        block = next(part for part in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if part.startswith(first))
        for line in filter(None, block.replace("\\\n", "").splitlines()):
            arguments = shlex.split(line, comments=True)
            result = CliRunner().invoke(main, arguments[1:], catch_exceptions=False)
            # Some of the sample's stores did change in its last weeks, each for itself, which blocks nothing.
            assert result.exit_code == 0, (line, result.stderr)
    assert len(pd.read_parquet(tmp_path / "retrain.parquet")) > 0
    assert (tmp_path / "sales.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = [target for target in links(page.read_text(encoding="utf-8")) if "://" not in target]
    for target in targets:
        place, _, anchor = target.partition("#")
        file = (page.parent / place) if place else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def links(text: str) -> Iterator[str]:
    return (match.group(1) for match in re.finditer(r"\]\(([^)\s]+)\)", text))


def anchors(text: str) -> set[str]:
    """The names by which a page's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
