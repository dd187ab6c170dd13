"""What the attacks on servers share: one small bundle."""

from pathlib import Path

import pytest
from serving import sales

import metamodel


@pytest.fixture(scope="session")
def served_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train linear children on six groups; number features alone, so that plain JSON is answered on the event loop."""
    path = tmp_path_factory.mktemp("attacked") / "bundle"
    table = sales().drop(columns=["colour", "count"])
    metamodel.train(table, ["country", "store"], "sales", estimator="ridge", holdout=0, n_jobs=1, output_dir=path)
    return path
