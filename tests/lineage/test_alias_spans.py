"""Which version an alias pointed at when."""

import datetime as dt

import pandas as pd
import pytest

from metamodel.lineage.alias_spans import alias_spans, day_of


def events(*moves: tuple[str, str, int, int | None]) -> pd.DataFrame:
    table = pd.DataFrame(moves, columns=["time", "alias", "version", "replaced"])
    return table.astype({"version": "Int64", "replaced": "Int64"})


def test_an_alias_points_at_a_version_until_the_next_event():
    spans = alias_spans(
        events(
            ("2026-01-01T00:00:00+00:00", "champion", 1, None),
            ("2026-01-05T00:00:00+00:00", "challenger", 9, None),
            ("2026-02-01T00:00:00+00:00", "champion", 2, 1),
        ),
        "champion",
    )
    assert [(span.version, str(span.start)[:10], str(span.end)[:10]) for span in spans] == [
        (1, "2026-01-01", "2026-02-01"),
        (2, "2026-02-01", "None"),
    ]


def test_before_the_first_event_it_pointed_at_what_that_replaced():
    spans = alias_spans(events(("2026-02-01T00:00:00+00:00", "champion", 8, 7)), "champion")
    assert [(span.version, span.start is None) for span in spans] == [(7, True), (8, False)]
    assert spans[0].end == spans[1].start


def test_an_alias_without_events_has_no_spans():
    assert alias_spans(events(), "champion") == []


@pytest.mark.parametrize("on", ["2026-11-02", pd.Timestamp("2026-11-02").date()])
def test_a_day_is_all_of_it(on):
    begin, end = day_of(on)
    assert end - begin == dt.timedelta(days=1)
