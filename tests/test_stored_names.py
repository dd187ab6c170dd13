"""Names that end in what users store, or in their settings: a change of one breaks what is there, so each has a line.

The names are read off the package's code; a new one needs a line here, and one that goes must go here too.
"""

import ast
import configparser
import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cloudpickle
import pytest
from parsed_files import parsed

from metamodel.bundle import codecs, diagnostics, group_values, manifest, reader, references, stored_stacks
from metamodel.bundle.carry import recipe, seen
from metamodel.bundle.manifest import FORMAT_VERSION, Manifest
from metamodel.bundle.monitored import stored_reference
from metamodel.bundle.rollout import overlay, rollout_files
from metamodel.flavor import model_code
from metamodel.flavor.code_archive import ARCHIVE_NAME
from metamodel.flavor.environment import CODE_DIR
from metamodel.flavor.pyfunc import GroupedModel
from metamodel.flavor.remote.mlmodel import MLMODEL
from metamodel.tracking import run, run_contents

pytestmark = pytest.mark.tableless

PACKAGE = Path(model_code.__file__).parents[1]

VARIABLES = {
    "METAMODEL_CACHE_MB",
    "METAMODEL_DISK_CACHE",
    "METAMODEL_DISK_CACHE_MB",
    "METAMODEL_ENDPOINT_TOKENS",
    "METAMODEL_FETCH_WORKERS",
    "METAMODEL_HISTORY",
    "METAMODEL_LOG",
    "METAMODEL_LOG_DROP",
    "METAMODEL_LOG_ENTITY",
    "METAMODEL_LOG_FEATURES",
    "METAMODEL_LOG_ID",
    "METAMODEL_LOG_SAMPLE",
    "METAMODEL_LOG_SECRET",
    "METAMODEL_MAX_HELD_MB",
    "METAMODEL_MAX_HELD_TOTAL_MB",
    "METAMODEL_MAX_OPENED_MB",
    "METAMODEL_PRELOAD",
    "METAMODEL_SERVER_SECONDS",
    "METAMODEL_TRUSTED_TYPES",
}

# What a command keeps while it runs, and the file of code in a logged model.
# ... and what a commit of a compacted log is marked by, beside the table.
NOT_STORED = {"metamodel.log_files", "metamodel.config", "metamodel.zip"}

# Tags of runs, models and versions; {} stands for a group column, or a status of the ledger.
TAGS = {
    "metamodel.approval_note",
    "metamodel.approved",
    "metamodel.checks",
    "metamodel.child_sha256",
    "metamodel.digest",
    "metamodel.environment",
    "metamodel.error",
    "metamodel.gate",
    "metamodel.gate_digest",
    "metamodel.group",
    "metamodel.groups_failed",
    "metamodel.groups_fitted",
    "metamodel.groups_referenced",
    "metamodel.groups_{}",
    "metamodel.promotion",
    "metamodel.rollback",
    "metamodel.rollout",
    "metamodel.sha256",
    "metamodel.training",
    "metamodel.version",
    "metamodel.{}",
}

BUNDLE_FILES = {
    "GROUP_VALUES_DIR": "group_values",
    "DRIFT_NAME": "drift.parquet",
    "HOLDOUT_NAME": "holdout.parquet",
    "IMPORTANCE_NAME": "importance.parquet",
    "KEYS_NAME": "keys.npy",
    "LEDGER_NAME": "ledger.parquet",
    "MANIFEST_DIGEST_NAME": "manifest.sha256",
    "MANIFEST_NAME": "manifest.json",
    "PACKED_DIR": "packed",
    "POOLED_DIR": "pooled",
    "RECIPE_NAME": "recipe.json",
    "REFERENCE_DIR": "references",
    "SEEN_NAME": "seen.parquet",
    "SHARD_DIR": "shards",
    "STACK_DIR": "stacks",
}

ROLLOUT_FILES = {
    "CHALLENGER_DIR": "challenger",
    "CHAMPION_DIR": "champion",
    "OVERLAY_KEYS_NAME": "overlay.parquet",
    "ROLLOUT_DIGEST_NAME": "rollout.sha256",
    "ROLLOUT_NAME": "rollout.json",
}

# Of the manifest, beside `format_version`.
MANIFEST_FIELDS = {
    "codec",
    "compression",
    "counts",
    "created",
    "features",
    "files",
    "findings",
    "group_values",
    "keys",
    "levels",
    "library_settings",
    "options",
    "pooled",
    "references",
    "spec_digest",
    "stacks",
    "target",
    "unknown",
    "versions",
}

RUN_ARTIFACTS = {
    "checks.json",
    "config.yaml",
    "ledger.json",
    "ledger.parquet",
    "plots/actual_predicted.png",
    "plots/holdout_metric.png",
    "report.html",
    "tuning.csv",
    "tuning.parquet",
}


@functools.cache
def strings(*files: str) -> frozenset[str]:
    """Every text in the package's code, or in some of its files; of one with gaps, each gap is {}."""
    return frozenset(_strings(map(Path, files) if files else PACKAGE.rglob("*.py")))


def _strings(paths: Iterable[Path]) -> Iterator[str]:
    for tree in parsed(paths).values():
        nodes = list(ast.walk(tree))
        pieces = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in pieces:
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_environment_variables():
    found = {name for text in strings() for name in re.findall(r"METAMODEL_[A-Z_]+[A-Z]", text)}
    assert found == VARIABLES


def test_tags():
    texts = {text for text in strings() if re.fullmatch(r"metamodel\.[a-z0-9_{}]+", text)}
    # A tag may be called like a module.
    assert {text for text in texts if not is_module(text) or text in TAGS} - NOT_STORED == TAGS


def test_files_of_a_bundle():
    modules = (diagnostics, group_values, manifest, reader, recipe, references, seen, stored_reference, stored_stacks)
    names = {name: value for module in modules for name, value in vars(module).items()}
    assert {name: names[name] for name in names if re.fullmatch("[A-Z][A-Z_]*_(NAME|DIR)", name)} == BUNDLE_FILES
    assert (FORMAT_VERSION, MLMODEL) == (1, "MLmodel")


def test_files_of_a_roll_out():
    names = {**vars(rollout_files), "OVERLAY_KEYS_NAME": overlay.OVERLAY_KEYS_NAME}
    own = {name: names[name] for name in names if re.fullmatch("[A-Z][A-Z_]*_(NAME|DIR)", name)}
    assert {name: value for name, value in own.items() if name not in BUNDLE_FILES} == ROLLOUT_FILES


def test_fields_of_the_manifest():
    fields = {field.name for field in dataclasses.fields(Manifest)}
    assert fields == {*manifest._AS_THEY_ARE, *manifest._OPTIONAL, "levels", "keys", "features", "target", "files"}
    assert fields == MANIFEST_FIELDS


def test_artifacts_of_a_run():
    file_name = re.compile(r"[a-z_/]+\.(csv|html|json|parquet|png|yaml)")
    assert {text for text in strings(run.__file__, run_contents.__file__) if file_name.fullmatch(text)} == RUN_ARTIFACTS


def test_what_a_logged_model_names():
    code = Path(model_code.__file__).read_text(encoding="utf-8")
    assert Path(model_code.__file__).relative_to(PACKAGE).as_posix() == "flavor/model_code.py"
    assert "from metamodel.flavor.pyfunc import GroupedModel" in code
    assert f'"{CODE_DIR}" / "{ARCHIVE_NAME}"' in code
    assert (GroupedModel.__module__, GroupedModel.__qualname__) == ("metamodel.flavor.pyfunc", "GroupedModel")


def test_codecs_and_what_skops_trusts():
    assert set(codecs.CODECS) == {"cloudpickle", "joblib", "skops"}
    trusted = (*codecs._TRUSTED_CLASSES, *codecs._TRUSTED_FUNCTIONS)
    assert {name for name in trusted if name.startswith("metamodel.")} == {
        "metamodel.fitting.target_encoder.",
        "metamodel.fitting.xgboost_classifier.",
    }


def test_the_class_inside_pickled_children():
    xgboost_classifier = pytest.importorskip("metamodel.fitting.xgboost_classifier")
    child = xgboost_classifier.XGBClassifier(n_estimators=1)
    assert (type(child).__module__, type(child).__qualname__) == (
        "metamodel.fitting.xgboost_classifier",
        "XGBClassifier",
    )
    assert b"metamodel.fitting.xgboost_classifier" in cloudpickle.dumps(child)


def test_entry_points():
    config = configparser.ConfigParser()
    config.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    assert {name: value.strip() for name, value in config["options.entry_points"].items()} == {
        "console_scripts": "metamodel = metamodel.__main__:run",
        "mlflow.artifact_repository": "zip = metamodel_zip:open_store",
    }
