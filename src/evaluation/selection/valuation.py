"""The money values of French appraisal that params.yaml names, each with its source; none is invented.

`selection.valuing` names rows of data/portfolio/valuations.csv: the discount rate, the welfare cost of public funds
and, outcome by outcome, what one unit is worth. An outcome without a row has no money value: it keeps its cost per
outcome.
A value recalled from memory is used and said to be so wherever it is shown.
"""

from dataclasses import dataclass

from evaluation.errors import ParametersError
from evaluation.settings.observations import Valuation
from evaluation.settings.policy import Span, Valuing
from evaluation.settings.portfolio import Portfolio


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """The parameters of appraisal, read.

    Attributes:
        discount_rate: a year, as a share; public_funds: euros of welfare for one public euro.
        recalled: labels (French, English) of those that were recalled from memory and not read.
    """

    discount_rate: float
    public_funds: float
    recalled: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """What one unit of an outcome is worth, and who gets it.

    Attributes:
        key: ids of the rows, for the stream of random numbers.
        fiscal_share: 1 if the value goes to the public purse, 0 if to people.
    """

    span: Span
    key: str
    fiscal_share: float


def money(portfolio: Portfolio, policy: Valuing) -> Money:
    """The discount rate and the cost of public funds.

    Raises:
        ParametersError: params.yaml names a row that is not there, or one that holds no single value.
    """
    rate = portfolio.valuation(policy.discount_rate)
    funds = portfolio.valuation(policy.public_funds)
    return Money(
        discount_rate=_single(rate) / 100,
        public_funds=_single(funds),
        recalled=tuple((row.label_fr, row.label_en) for row in (rate, funds) if row.confidence == "recalled"),
    )


def value_of(record_id: str, portfolio: Portfolio, policy: Valuing) -> Valued | None:
    """What the outcome of a record is worth, None where params.yaml names nothing.

    Raises:
        ParametersError: params.yaml names a row that is not there, or one that holds no single value.
    """
    worth = policy.values.get(record_id)
    if worth is None:
        return None
    low, high = (_single(portfolio.valuation(name)) for name in (worth.low, worth.high))
    return Valued(
        span=Span(low=low, mode=(low + high) / 2, high=high),
        key=f"{worth.low} {worth.high}",
        fiscal_share=1.0 if worth.to == "public_purse" else 0.0,
    )


def _single(row: Valuation) -> float:
    if row.value is None:
        raise ParametersError(
            code="E-SEL-011",
            what="A parameter of appraisal has no single value.",
            where=f"data/portfolio/valuations.csv, {row.id}",
            found=f"a range, {row.low} to {row.high}",
            expected="a row with a value",
            fix="name another row in params.yaml, selection.valuing",
        )
    return row.value
