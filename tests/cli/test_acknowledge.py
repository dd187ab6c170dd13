from pathlib import Path

from command_line import run, strict
from monitored import monitored, weeks

import metamodel


def test_a_window_is_pinned_as_a_baseline(tmp_path: Path) -> None:
    model = metamodel.MetaModel(monitored().bundle_path)
    metamodel.monitor(model, weeks(1, 3), baseline=weeks(8, 2, start="2026-01-05"), output=tmp_path)

    result = run("acknowledge", str(tmp_path), "--baseline", "spring", "--by", "ann", "--json")

    kept = strict(result.stdout)
    assert (kept["baseline"], kept["window"], kept["by"]) == ("spring", "2026-03-02", "ann")


def test_a_folder_without_windows_ends_with_code_2(tmp_path: Path) -> None:
    assert run("acknowledge", str(tmp_path), "all").exit_code == 2
