"""Set a tag of a version, or an alias, beside others who set the same one at the same moment.

MLflow's store looks whether a tag or an alias is there, and inserts it where it is not. Of two who do so at once the
database lets one through and refuses the other as a duplicate, though both want the same. Asked again, the store finds
what is there, and updates it.
"""

import tenacity
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

__all__ = ["set_alias", "set_version_tag"]


def _refused_by_the_database(error: BaseException) -> bool:
    """Tell by its code: each database has words of its own for a duplicate."""
    return isinstance(error, MlflowException) and error.error_code == "BAD_REQUEST"


# Whoever came first is through by then; what is refused for another reason is refused again.
_once_more = tenacity.retry(
    retry=tenacity.retry_if_exception(_refused_by_the_database),
    stop=tenacity.stop_after_attempt(3),
    wait=tenacity.wait_random(max=0.1),
    reraise=True,
)


@_once_more
def set_version_tag(name: str, version: str, key: str, value: str) -> None:
    """Set a tag of a model's version, whoever else sets it now."""
    MlflowClient().set_model_version_tag(name, version, key, value)


@_once_more
def set_alias(name: str, alias: str, version: str) -> None:
    """Point an alias at a model's version, whoever else does so now."""
    MlflowClient().set_registered_model_alias(name, alias, version)
