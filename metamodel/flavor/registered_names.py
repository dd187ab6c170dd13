"""Which registered model, or alias of one, may have been meant by a URI that leads nowhere."""

import re

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from metamodel.common.messages import did_you_mean

__all__ = ["meant_by_uri"]


def meant_by_uri(uri: str) -> str:
    """Say what may have been meant, to be put behind a message; empty where nothing is close, or the store is silent.

    Parameters
    ----------
    uri
        A URI that could not be followed.
    """
    name, _, alias = uri.removeprefix("models:/").partition("@")
    name = re.sub(r"/[^/]*$", "", name)
    if not uri.startswith("models:/") or not name or name.startswith("m-"):
        return ""
    client = MlflowClient()
    try:
        names = [model.name for model in client.search_registered_models()]
        if name not in names:
            return did_you_mean(name, names)
        return did_you_mean(alias, client.get_registered_model(name).aliases) if alias else ""
    except MlflowException:  # the message before says that the store does not answer
        return ""
