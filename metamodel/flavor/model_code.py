"""The file that MLflow runs to load a logged meta-model (models from code)."""

from mlflow.models import set_model

from metamodel.flavor.pyfunc import GroupedModel

set_model(GroupedModel())
