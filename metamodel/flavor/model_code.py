"""The file that MLflow runs to load a logged meta-model (models from code).

Beside it lies the package itself, as one file in the folder `code`. MLflow puts that folder on the path, and not the
archive. A package that was imported before answers: a process has one metamodel.
"""

import sys
from pathlib import Path

from mlflow.models import set_model

_archive = Path(__file__).resolve().parent / "code" / "metamodel.zip"
if "metamodel" not in sys.modules and _archive.is_file():
    sys.path.insert(0, str(_archive))

from metamodel.flavor.pyfunc import GroupedModel  # noqa: E402 - it may be in there

set_model(GroupedModel())
