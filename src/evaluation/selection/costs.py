"""What one person costs at scale, from ingredients: start-up and recurrent items, in the prices of one year.

    unit cost = sum of recurrent items + sum of start-up items / lifetime

where the lifetime is the number of years over which a start-up item is spread, and every amount is first brought to the
prices of one year:

    amount(to) = amount(from) x product over years from+1 .. to of (1 + inflation)

An amount in another currency, an item without a year of prices, or a year without an inflation figure is a missing
link.
Source: Levin, McEwan, Belfield, Bowden and Shand, Economic Evaluation in Education (ingredients method).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.errors import ParametersError
from evaluation.settings.observations import Cost, Inflation
from evaluation.settings.policy import Span

CURRENCY = "EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """What one person costs.

    Attributes:
        span: in the prices of `price_year`; None where a link is missing.
        items: ids of the rows it was added up from.
        partial: some of what the programme takes is known to be left out (no row says `total`).
        missing: why there is no number: cost, currency, price_year, inflation; "" if there is one.
    """

    span: Span | None
    items: tuple[str, ...]
    price_year: int
    partial: bool
    missing: str


def unit_cost(rows: Sequence[Cost], prices: Sequence[Inflation], *, price_year: int, lifetime: float) -> UnitCost:
    """Add up the ingredients of one innovation.

    Args:
        rows: its rows of costs.csv; only those per participant count.
        prices: inflation of its country, year by year.
        price_year: year whose prices the cost is in.
        lifetime: years over which start-up items are spread.
    """
    items = [row for row in rows if row.basis == "participant"]
    missing = _missing(items, prices, price_year)
    span = None if missing else _sum(_at_prices(row, prices, price_year, lifetime) for row in items)
    return UnitCost(
        span=span,
        items=tuple(row.id for row in items),
        price_year=price_year,
        partial=bool(items) and all(row.item != "total" for row in items),
        missing=missing,
    )


def deflated(amount: float, year: int, price_year: int, inflation: Mapping[int, float]) -> float:
    """An amount in the prices of another year, earlier or later.

    Args:
        amount: in the prices of `year`.
        year: whose prices the amount is in.
        price_year: whose prices are wanted.
        inflation: year -> rise of prices from the year before, in percent.

    Raises:
        ParametersError: a year between the two has no figure.
    """
    between = range(min(year, price_year) + 1, max(year, price_year) + 1)
    absent = [each for each in between if each not in inflation]
    if absent:
        raise ParametersError(
            code="E-SEL-010",
            what="An amount cannot be brought to the prices of another year.",
            where="data/portfolio/prices.csv",
            found=f"no figure for {absent[0]}",
            expected=f"one figure for each year from {between[0]} to {between[-1]}",
            fix="add the missing years with their source, or change selection.valuing.price_year",
        )
    factor = 1.0
    for each in between:
        factor *= 1 + inflation[each] / 100
    return amount * factor if price_year >= year else amount / factor


def _missing(items: Sequence[Cost], prices: Sequence[Inflation], price_year: int) -> str:
    if not any(row.phase == "recurrent" for row in items):
        return "cost"
    if any(row.currency != CURRENCY for row in items):
        return "currency"
    years = [row.year for row in items]
    if None in years:
        return "price_year"
    known = {row.year for row in prices}
    needed = {
        each
        for year in years
        if year is not None
        for each in range(min(year, price_year) + 1, max(year, price_year) + 1)
    }
    return "" if needed <= known else "inflation"


def _at_prices(row: Cost, prices: Sequence[Inflation], price_year: int, lifetime: float) -> Span:
    """One ingredient for one person: a value with its range, a range (its middle), or an upper bound alone."""
    inflation = {each.year: each.value for each in prices}
    share = 1 / lifetime if row.phase == "start_up" else 1.0
    bounds = [bound for bound in (row.low, row.value, row.high) if bound is not None]
    mode = row.value if row.value is not None else (bounds[0] + bounds[-1]) / 2
    low, mode, high = (
        share * deflated(amount, row.year or price_year, price_year, inflation)
        for amount in (bounds[0], mode, bounds[-1])
    )
    return Span(low=low, mode=mode, high=high)


def _sum(spans: Iterable[Span]) -> Span:
    """Ends and modes add up: the items are taken to be high together, which widens the range."""
    listed = list(spans)
    return Span(
        low=sum(span.low for span in listed),
        mode=sum(span.mode for span in listed),
        high=sum(span.high for span in listed),
    )
