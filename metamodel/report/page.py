"""The one-file HTML report of a model: no network, no library; made from the files of its bundle alone."""

from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined

from metamodel.bundle.diagnostics import HOLDOUT_NAME, IMPORTANCE_NAME
from metamodel.bundle.reader import Bundle
from metamodel.common.failures import storage_failures
from metamodel.common.version import __version__
from metamodel.common.whole_files import whole_file
from metamodel.report import formatting as numbers
from metamodel.report.coverage import coverage_of
from metamodel.report.page_content import STATISTICS, Facts

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
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (numbers.number, numbers.p_value, numbers.percent, numbers.duration, numbers.size):
        environment.filters[filter_.__name__] = filter_
    template = environment.get_template("page.html")
    return template.render(
        facts=facts, coverage=coverage_of(facts), digest=digest, version=__version__, statistics=STATISTICS
    )


def _template(name: str) -> str:
    # The package may be an archive, and its files none that the system knows.
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


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
