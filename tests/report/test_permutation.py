"""What counts for the worst groups: measured on demand, on their own rows."""

import pytest
from html_pages import Page
from reports import small

from metamodel.bundle.reader import Bundle
from metamodel.exceptions import InputError
from metamodel.report import permute_worst, render_report


@pytest.mark.parametrize("kind", ["odd names", "classes"])
def test_what_counts_for_the_worst_groups_is_measured_on_demand(models, kind):
    bundle = Bundle(models[kind].bundle_path)
    found = permute_worst(bundle, small(kind == "classes"), worst=3)
    assert found["key"].nunique() == 3
    assert (found.groupby("key")["feature"].first() == "a").all()
    page = render_report(bundle, found)
    assert "What counts for the worst groups" in Page(page).text
    assert Page(page).scripts == 1


def test_other_groups_rows_measure_nothing(models):
    with pytest.raises(InputError, match="no row of the 2 worst groups"):
        permute_worst(Bundle(models["odd names"].bundle_path), small().assign(g="elsewhere"), worst=2)
