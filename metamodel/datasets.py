"""Sample tables to try metamodel on: one synthetic, made here, and one real, fetched by scikit-learn.

This module knows frames only: nothing of training, bundles or MLflow. Importing it costs numpy and pandas;
scikit-learn is imported when the real table is asked for.
"""

import warnings
from collections.abc import Callable, Mapping
from numbers import Integral
from types import MappingProxyType

import numpy as np
import pandas as pd

from metamodel.exceptions import InputError

__all__ = ["SAMPLES", "SPECIAL_STORES", "load_california", "load_sample", "make_store_sales"]

SPECIAL_STORES: Mapping[int, str] = MappingProxyType(
    {
        90_001: "one row",
        90_002: "three rows",
        90_003: "constant target",
        90_004: "target partly missing",
        90_005: "target all missing",
    }
)

"""The stores that ``make_store_sales(broken=True)`` adds, and what is wrong with each."""

_COUNTRIES = ("DE", "ES", "FR", "IT")

_FIRST_MONDAY = np.datetime64("2022-01-03", "ns")

_DAYS_IN_YEAR = 365.25

_CONSTANT_UNITS = 50.0

# Upper bounds: ordinary store numbers stay below the special ones, product names keep three digits (so that
# their text order is their number order), and the last week stays within datetime64[ns].
_MOST_STORES, _MOST_PRODUCTS, _MOST_WEEKS = 90_000, 999, 10_000

# A special store needs this many weeks to show its fault (three rows, or one missing value in four).
_FEWEST_WEEKS_BROKEN = 4


def make_store_sales(
    n_stores: int = 20,
    n_products: int = 5,
    n_weeks: int = 104,
    *,
    broken: bool = True,
    random_state: int = 0,
) -> pd.DataFrame:
    """Make a **synthetic** panel of weekly sales: stores × products × weeks. No real shop stands behind it.

    Every (store, product) has a level, growth, price slope, promotion uplift and season of its own, and its
    target is linear in the features up to noise of 4 % of its level (negative sales become 0)::

        units = level · (1 + growth·trend + uplift·promotion − elasticity·(price / list_price − 1)
                           + a·season_sin + b·season_cos + noise)

    A linear model per group is therefore nearly right, and one for all groups is clearly worse.

    Parameters
    ----------
    n_stores : int, default 20
        Number of ordinary stores, 1 to 90,000. They are numbered from 1.
    n_products : int, default 5
        Number of products in every ordinary store, 1 to 999: ``"P001"``, ``"P002"``, …
    n_weeks : int, default 104
        Number of weeks, 1 to 10,000 (at least 4 with ``broken=True``).
    broken : bool, default True
        Append the five stores of ``metamodel.datasets.SPECIAL_STORES``. Each sells ``"P001"`` alone, so it is
        one special group whether the table is grouped by store or by store and product:

        ======  ==========================================================
        store   what is wrong
        ======  ==========================================================
        90001   one row (the first week)
        90002   three rows (the first three weeks)
        90003   constant target: ``units`` is always 50
        90004   ``units`` is missing in every fourth week
        90005   ``units`` is missing in every week: no model can be fitted
        ======  ==========================================================

        The ordinary rows are the same with and without them.
    random_state : int, default 0
        Seed, not negative. The same arguments give the same table.

    Returns
    -------
    pandas.DataFrame
        Ordered by store, product and week. Columns: ``country`` (string; a store is in one country),
        ``store`` (int64), ``product`` (string), ``week`` (datetime64[ns], Mondays), ``price`` (float),
        ``promotion`` (int64, 0 or 1), ``trend`` (float, years since the first week), ``season_sin`` and
        ``season_cos`` (float, position in the year), ``units`` (float, the target).

    Raises
    ------
    InputError
        If an argument has the wrong type or is out of its range.

    Examples
    --------
    >>> from metamodel.datasets import make_store_sales
    >>> sales = make_store_sales(n_stores=2, n_products=3, n_weeks=4, broken=False)
    >>> sales.shape
    (24, 10)
    >>> list(sales.columns[:5]), sales.columns[-1]
    (['country', 'store', 'product', 'week', 'price'], 'units')
    >>> special = make_store_sales(n_stores=2, n_products=3, n_weeks=4).iloc[24:]
    >>> special.groupby("store").size().to_dict()
    {90001: 1, 90002: 3, 90003: 4, 90004: 4, 90005: 4}
    """
    _check_arguments(n_stores, n_products, n_weeks, broken, random_state)
    # Plain integers: arithmetic on a caller's np.uint8 would overflow.
    n_stores, n_products, n_weeks = int(n_stores), int(n_products), int(n_weeks)
    # Two streams, so that the special stores do not change the ordinary rows.
    ordinary_rng, special_rng = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(int(random_state)).spawn(2)
    )
    ordinary = _panel(np.arange(1, n_stores + 1), n_products, n_weeks, ordinary_rng)
    if not broken:
        return ordinary
    special = _spoil(_panel(np.array(list(SPECIAL_STORES)), 1, n_weeks, special_rng), n_weeks)
    return pd.concat([ordinary, special], ignore_index=True)


def load_california() -> pd.DataFrame:
    """Load the real California housing table through scikit-learn, with the 1° cell of every district.

    The source is :func:`sklearn.datasets.fetch_california_housing`, which downloads the table once and keeps
    a copy in the folder named by the environment variable ``SCIKIT_LEARN_DATA``.

    Returns
    -------
    pandas.DataFrame
        20,640 districts: scikit-learn's eight features and its target ``MedHouseVal``, then ``lat_cell`` and
        ``lon_cell`` (int64): latitude and longitude rounded down to whole degrees.

    Raises
    ------
    InputError
        If the table can be neither downloaded nor read from scikit-learn's copy.
    """
    frame = _fetch_california()
    return frame.assign(
        lat_cell=np.floor(frame["Latitude"]).astype("int64"),
        lon_cell=np.floor(frame["Longitude"]).astype("int64"),
    )


SAMPLES: dict[str, Callable[[], pd.DataFrame]] = {"sales": make_store_sales, "california": load_california}

"""The sample tables by name; each is made or loaded by a call without arguments."""


def load_sample(name: str) -> pd.DataFrame:
    """Return the sample table of that name, with its default arguments.

    Parameters
    ----------
    name : str
        A key of ``metamodel.datasets.SAMPLES``: ``"sales"`` (synthetic) or ``"california"`` (real, needs a
        network once).

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    InputError
        If there is no sample of that name, or it is not at hand.

    Examples
    --------
    >>> from metamodel.datasets import load_sample
    >>> load_sample("sales").shape
    (10716, 10)
    """
    if name not in SAMPLES:
        raise InputError(f"No built-in sample {name!r}. Use one of {', '.join(SAMPLES)}, or give the path of a file.")
    return SAMPLES[name]()


def _check_arguments(n_stores: int, n_products: int, n_weeks: int, broken: bool, random_state: int) -> None:
    _check_integer("n_stores", n_stores, 1, _MOST_STORES)
    _check_integer("n_products", n_products, 1, _MOST_PRODUCTS)
    _check_integer("n_weeks", n_weeks, 1, _MOST_WEEKS)
    _check_integer("random_state", random_state, 0, 2**63 - 1)
    if not isinstance(broken, bool | np.bool_):
        raise InputError(f"broken must be True or False, not {broken!r}.")
    if broken and n_weeks < _FEWEST_WEEKS_BROKEN:
        raise InputError(
            f"n_weeks={n_weeks} is too short for the special stores. "
            f"Give at least {_FEWEST_WEEKS_BROKEN} weeks, or broken=False."
        )


def _check_integer(name: str, value: int, lowest: int, highest: int) -> None:
    # True is an Integral for Python, but never what a caller means by a number of stores.
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or not lowest <= value <= highest:
        raise InputError(f"{name} must be a whole number from {lowest:,} to {highest:,}, not {value!r}.")


def _panel(stores: np.ndarray, n_products: int, n_weeks: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make every store × product × week, with no group spoilt."""
    n_groups = len(stores) * n_products
    store_codes = np.repeat(np.arange(len(stores)), n_products * n_weeks)
    product_codes = np.tile(np.repeat(np.arange(n_products), n_weeks), len(stores))
    # Object arrays: pandas 2 keeps them, pandas 3 reads them as `str`, neither converts fixed-width text.
    countries = np.array(_COUNTRIES, dtype=object)[(stores - 1) % len(_COUNTRIES)]
    products = np.array([f"P{number:03d}" for number in range(1, n_products + 1)], dtype=object)
    weeks = _FIRST_MONDAY + np.arange(n_weeks) * np.timedelta64(7, "D")
    time = _time_features(n_weeks)
    market = _market(n_groups, n_weeks, rng)
    return pd.DataFrame(
        {
            "country": countries[store_codes],
            "store": stores.astype("int64")[store_codes],
            "product": products[product_codes],
            "week": np.tile(weeks, n_groups),
            "price": market["price"].ravel(),
            "promotion": market["promotion"].ravel(),
            **{name: np.tile(values, n_groups) for name, values in time.items()},
            "units": _units(market, time, rng).ravel(),
        }
    )


def _time_features(n_weeks: int) -> dict[str, np.ndarray]:
    years = np.arange(n_weeks) * 7 / _DAYS_IN_YEAR
    return {"trend": years, "season_sin": np.sin(2 * np.pi * years), "season_cos": np.cos(2 * np.pi * years)}


def _market(n_groups: int, n_weeks: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw what the shops decide, prices and promotions: one line a group, one column a week."""
    list_price = rng.uniform(2.0, 20.0, size=(n_groups, 1))
    return {
        "list_price": list_price,
        "price": np.round(list_price * rng.uniform(0.85, 1.15, size=(n_groups, n_weeks)), 2),
        "promotion": (rng.random(size=(n_groups, n_weeks)) < 0.2).astype("int64"),
    }


def _units(market: dict[str, np.ndarray], time: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw what the customers buy: the formula in `make_store_sales`, coefficients drawn for every group."""

    def coefficient(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, size=(len(market["price"]), 1))

    level = np.exp(coefficient(np.log(40.0), np.log(400.0)))
    relative = (
        1.0
        + coefficient(-0.10, 0.20) * time["trend"]
        + coefficient(0.05, 0.50) * market["promotion"]
        - coefficient(0.3, 2.0) * (market["price"] / market["list_price"] - 1.0)
        + coefficient(-0.2, 0.2) * time["season_sin"]
        + coefficient(-0.2, 0.2) * time["season_cos"]
        + rng.normal(0.0, 0.04, size=market["price"].shape)
    )
    units: np.ndarray = np.round(np.maximum(level * relative, 0.0), 2)
    return units


def _spoil(panel: pd.DataFrame, n_weeks: int) -> pd.DataFrame:
    """Make every special store what `SPECIAL_STORES` says; `panel` holds n_weeks rows of each in turn."""
    one_row, three_rows, constant, partly_missing, all_missing = SPECIAL_STORES
    store = panel["store"].to_numpy()
    week_number = np.arange(len(panel)) % n_weeks
    missing = (store == all_missing) | ((store == partly_missing) & (week_number % 4 == 3))
    units = np.where(store == constant, _CONSTANT_UNITS, panel["units"].to_numpy())
    rows_kept = np.select([store == one_row, store == three_rows], [1, 3], default=n_weeks)
    return panel.assign(units=np.where(missing, np.nan, units))[week_number < rows_kept]


def _fetch_california() -> pd.DataFrame:
    # scikit-learn costs a second to import, and the synthetic sample does not need it.
    from sklearn.datasets import fetch_california_housing

    try:
        with warnings.catch_warnings():
            # scikit-learn warns before each retry; the one message below says all of it.
            warnings.filterwarnings("ignore", message="Retry downloading", category=UserWarning)
            frame: pd.DataFrame = fetch_california_housing(as_frame=True).frame
    # Any class: the network gives OSError, but unpickling a damaged copy raises whatever its bytes lead to.
    except Exception as error:
        evidence = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":.")
        raise InputError(
            f"The California housing data are not at hand ({evidence}). Use the built-in sample 'sales', "
            "give the path of a CSV file, or download the data on a machine with network and set "
            "SCIKIT_LEARN_DATA to the folder with that copy (delete a damaged copy first)."
        ) from error
    return frame
