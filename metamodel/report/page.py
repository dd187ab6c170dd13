"""The one-file HTML report of a model: no network, no library; made from the files of its bundle alone."""

from pathlib import Path

import pandas as pd

from metamodel.bundle.diagnostics import HOLDOUT_NAME, IMPORTANCE_NAME
from metamodel.bundle.reader import Bundle
from metamodel.common.failures import storage_failures
from metamodel.common.version import __version__
from metamodel.common.whole_files import whole_file
from metamodel.report.coverage import coverage_of
from metamodel.report.page_content import STATISTICS, Facts
from metamodel.report.templates import page_template

__all__ = ["render_report", "write_report"]


def render_report(bundle: Bundle, permuted: pd.DataFrame | None = None) -> str:
    """Make the HTML page of a model.

    Parameters
    ----------
    bundle
        The opened bundle. No child is loaded.
    permuted
        From `permute_worst`, to be shown too.

    Returns
    -------
    str
        A complete document, below 3 MB whatever the number of groups.

    Raises
    ------
    CorruptBundle
        The ledger cannot be read.
    """
    holdout, importance = (bundle.read_table(name) for name in (HOLDOUT_NAME, IMPORTANCE_NAME))
    return render(Facts(bundle.manifest, bundle.ledger, holdout, importance, permuted), bundle.digest)


def render(facts: Facts, digest: str) -> str:
    """Fill the page's template."""
    template = page_template("page.html")
    return template.render(
        facts=facts, coverage=coverage_of(facts), digest=digest, version=__version__, statistics=STATISTICS
    )


def write_report(bundle: Bundle, path: Path, permuted: pd.DataFrame | None = None) -> Path:
    """Write the page to a file, which appears when it is complete.

    Raises
    ------
    StorageFailed
        The disk is full, or fails; what stood there before is there still.
    """
    page = render_report(bundle, permuted)
    with storage_failures(), whole_file(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")
    return path
