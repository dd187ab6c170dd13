"""A model of every kind that a report can be made of, and its page; trained once for all tests of the report."""

import pytest
from reports import KINDS, train

from metamodel.bundle.reader import Bundle
from metamodel.report import render_report


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    return {kind: train(kind, directory) for kind in KINDS}


@pytest.fixture(scope="session")
def pages(models):
    return {kind: render_report(Bundle(result.bundle_path)) for kind, result in models.items()}
