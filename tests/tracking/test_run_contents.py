"""What a training's run holds beside the model."""

from dataclasses import replace

import mlflow
import pytest
import yaml
from mlflow import MlflowClient
from tiny_trainings import train_tiny

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.exceptions import InputError
from metamodel.tracking.run_contents import log_dataset, params_of, upload_contents

pytestmark = pytest.mark.tableless

SECRET = "s3a://AKIA123:s3cr3t@bucket/sales.parquet"


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    return train_tiny(2)


def test_the_file_of_options_repeats_what_was_asked_and_how_the_server_is_spared(
    result: metamodel.TrainingResult,
) -> None:
    with mlflow.start_run() as run:
        upload_contents(run, result, ReferenceSettings(requests_per_second=7.0), register="sales", alias=None)
    options = yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/config.yaml"))
    assert options["mlflow"] == {"register": "sales", "rate": 7.0, "concurrency": 4, "server_patience": 120.0}
    assert (options["table"]["group_by"], options["table"]["target"]) == ("group", "y")


def test_credentials_in_the_address_of_a_table_or_model_stay_out_of_the_run(
    result: metamodel.TrainingResult,
) -> None:
    manifest = replace(result.manifest, options={**result.manifest.options, "overrides": SECRET})
    config = {**result.config, "data": SECRET, "previous": ["https://ann:pa55@host/model?token=t0k3n"]}
    with mlflow.start_run() as run:
        known = replace(result, config=config, manifest=manifest, source=SECRET)
        upload_contents(run, known, report=False)
        mlflow.log_params(params_of(known))
        log_dataset(known)
    client = MlflowClient()
    everything = str(client.get_run(run.info.run_id).to_dictionary())
    everything += mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/config.yaml")
    assert "s3a://***@bucket/sales.parquet" in everything
    assert not [secret for secret in ("s3cr3t", "AKIA123", "pa55", "t0k3n") if secret in everything]


def test_a_name_and_tags_are_those_of_run_model_and_version(result: metamodel.TrainingResult) -> None:
    with mlflow.start_run(run_name="nightly") as run:
        info = metamodel.log_model(
            result, registered_model_name="tagged", run_name="Monday", tags={"team": "pricing"}, report=False
        )
    client = MlflowClient()
    logged, version = client.get_logged_model(info.model_id), client.get_model_version("tagged", "1")
    assert client.get_run(run.info.run_id).info.run_name == "Monday"
    assert [where.tags["team"] for where in (client.get_run(run.info.run_id).data, logged, version)] == ["pricing"] * 3


@pytest.mark.parametrize(
    ("tags", "match"),
    [({"metamodel.digest": "1"}, r"names that begin with metamodel\. are ours"), ({"n": 3}, "Give texts")],
)
def test_tags_that_are_ours_or_no_texts_are_refused(
    result: metamodel.TrainingResult, tags: dict[str, str], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        metamodel.log_model(result, tags=tags, report=False)
