"""The value chain of every innovation in every test territory, from what was read, and nothing else.

The effect is that of the best established finding, put together with the other findings on the same outcome and shrunk
by what their grades say of bias (evidence/posteriors.py): never the most favourable of several sites. The transfer to a
territory is a letter that somebody assessed; without one the chain has no number there. At the place of the study
nothing is transferred: that row says what the programme was worth where it was tested, in the same money, and decides
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.evidence import eligibility
from evaluation.evidence.eligibility import Entry
from evaluation.evidence.posterior import shrink
from evaluation.evidence.posteriors import Posterior, posteriors
from evaluation.evidence.programme import of_one_study
from evaluation.evidence.record import Record
from evaluation.needs.burden import estimates
from evaluation.selection.agenda import Stake
from evaluation.selection.cases import Case
from evaluation.selection.changes import Inputs
from evaluation.selection.costs import unit_cost
from evaluation.selection.readouts import Readout, readout
from evaluation.selection.rules import Situation
from evaluation.selection.valuation import Money, money, value_of
from evaluation.selection.value_chain import NOTHING, Chain, NormalBelief, annuity, simulate
from evaluation.settings.facts import Territory
from evaluation.settings.policy import Selection, Span
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.synthesis import Synthesis

STUDY = "study"

Transfers = Mapping[tuple[str, str], str]
"""Letter A to D by innovation (or finding) and territory; a pair that is not there was not assessed."""
Tests = Mapping[tuple[str, str], float]
"""Value of the best test by innovation and territory, cost and delay charged; a pair that is not there is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all chains share.

    Attributes:
        entries: findings as numbers, by record.
        beliefs: what is believed of an effect, by each record that it rests on.
        transfers: letters that somebody assessed.
        tests: values of tests that somebody computed.
        seed: of the Monte Carlo.
    """

    portfolio: Portfolio
    policy: Selection
    synthesis: Synthesis | None
    entries: Mapping[str, Entry]
    beliefs: Mapping[str, Posterior]
    transfers: Transfers
    tests: Tests
    seed: int

    @property
    def appraisal(self) -> Money:
        """Discount rate and cost of public funds."""
        return money(self.portfolio, self.policy.valuing)


def context(
    portfolio: Portfolio,
    records: Sequence[Record],
    grades: Mapping[str, int],
    policy: Selection,
    synthesis: Synthesis | None,
    *,
    transfers: Transfers | None = None,
    tests: Tests | None = None,
    seed: int,
) -> Context:
    """Gather what all chains share.

    Args:
        portfolio: costs, valuations, prices.
        records: of all findings.
        grades: record -> 0 to 5.
        policy: of selection.
        synthesis: prior and bias by grade; without it no effect becomes a belief.
        transfers: letters that somebody assessed.
        tests: values of tests that somebody computed.
        seed: of the Monte Carlo.
    """
    found, _ = eligibility.entries(records, grades)
    known = posteriors(records, grades, synthesis).all if synthesis is not None else ()
    return Context(
        portfolio=portfolio,
        policy=policy,
        synthesis=synthesis,
        entries={entry.id: entry for entry in found},
        beliefs={name: each for each in known if each.basis == "records" for name in each.records},
        transfers=transfers or {},
        tests=tests or {},
        seed=seed,
    )


def carried(cases: Sequence[Case], letters: Transfers) -> dict[tuple[str, str], str]:
    """Letters by innovation and territory: those of the finding that carries the decision, where one does.

    Args:
        cases: what is known about each innovation.
        letters: by finding and territory, as the evidence stage wrote them.
    """
    shown = {case.shown.id: case.innovation.id for case in cases if case.shown is not None and case.shown.use != "none"}
    return {(shown[name], place): letter for (name, place), letter in letters.items() if name in shown}


def chain(case: Case, territory: str, shared: Context) -> Chain:
    """The links of one innovation in one territory, or at the place of its study."""
    believed = _believed(case, shared)
    cost = _unit_cost(case, shared)
    valuing = shared.policy.valuing
    worth = None if case.shown is None else value_of(case.shown.id, shared.portfolio, valuing)
    letter = "A" if territory == STUDY else shared.transfers.get((case.innovation.id, territory))
    return Chain(
        innovation=case.innovation.id,
        territory=territory,
        belief=None if believed is None else _belief(believed),
        transfer_sd=_transfer_sd(_spread(believed), letter, at_study=territory == STUDY, shared=shared),
        voltage=valuing.voltage["several_sites" if believed is not None and len(believed.records) > 1 else "pilot"],
        displacement=valuing.displacement if case.rival else NOTHING,
        value=None if worth is None else worth.span,
        value_key="" if worth is None else worth.key,
        years=valuing.years,
        discount_rate=shared.appraisal.discount_rate,
        unit_cost=cost,
        elasticity=valuing.scale_elasticity,
        public_funds=shared.appraisal.public_funds,
        fiscal_share=0.0 if worth is None else worth.fiscal_share,
        equity_elasticity=valuing.equity_elasticity,
        smallest_effect=0.0 if believed is None else believed.smallest_effect * _spread(believed),
    )


def value(each: Chain, shared: Context) -> Readout:
    """The numbers of one chain."""
    (parts,) = simulate([each], seed=shared.seed, draws=shared.policy.valuing.draws)
    return readout(each, parts)


def stake(case: Case, territory: Territory, each: Chain, net: float | None, shared: Context) -> Stake | None:
    """What is believed here and for how many people, for the learning agenda; None without a prior.

    Args:
        case: what is known of the innovation.
        territory: where it would be studied.
        each: its chain there.
        net: what the chain says of one person; None where a link is missing.
        shared: what all chains share.
    """
    if shared.synthesis is None:
        return None
    counted = estimates(shared.portfolio, str(case.innovation.difficulty), territory)
    people = min((found.value for found in counted), default=None)
    served = None if people is None else people * shared.policy.learning.served
    believed = _believed(case, shared)
    if believed is None or believed.standardised_mean is None or each.transfer_sd is None:
        prior = shared.synthesis.prior
        smallest = shared.synthesis.smallest_effect_sd
        return Stake(
            mean=prior.mean, sd=prior.sd, smallest=smallest, basis="prior", grade=0, people=people, served=served
        )
    spread = _spread(believed)
    return Stake(
        mean=believed.standardised_mean,
        sd=float(np.hypot(believed.standardised_sd or 0.0, each.transfer_sd / spread)),
        smallest=believed.smallest_effect,
        basis="records",
        grade=believed.grade,
        people=people,
        served=served,
        euros=_euros(each, spread),
        net=net,
    )


def _euros(each: Chain, spread: float) -> float | None:
    """Value at scale of one standard deviation of one person's outcome, each link at its most likely value."""
    if each.missing or each.value is None:
        return None
    kept = each.voltage.mode * (1 - each.displacement.mode)
    return spread * kept * each.value.mode * annuity(each.years, each.discount_rate)


def inputs(case: Case, territory: str, shared: Context) -> Inputs | None:
    """Where the numbers of a chain stand, for `changes.needed`; None where there is none, or several findings."""
    believed, cost = _believed(case, shared), _unit_cost(case, shared)
    if believed is None or cost is None or len(believed.records) > 1:
        return None
    entry = shared.entries[believed.records[0]]
    return Inputs(
        estimate=entry.standardised,
        std_error=entry.standardised_error,
        unit_cost=cost.mode,
        transfer=shared.transfers.get((case.innovation.id, territory)),
        grade=entry.grade,
    )


def at(case: Case, each: Chain, changed: Inputs, shared: Context) -> Chain:
    """The chain with other inputs: the belief is made anew, the cost moves with its range."""
    believed = _believed(case, shared)
    if believed is None or shared.synthesis is None or each.unit_cost is None:
        return each
    spread = _spread(believed)
    factor = changed.unit_cost / each.unit_cost.mode if each.unit_cost.mode else 0.0
    cost = each.unit_cost
    return replace(
        each,
        belief=_shrunk(changed.estimate, changed.std_error, changed.grade, spread, shared.synthesis),
        transfer_sd=_transfer_sd(spread, changed.transfer, at_study=False, shared=shared),
        unit_cost=Span(low=cost.low * factor, mode=cost.mode * factor, high=cost.high * factor),
    )


def regraded(situation: Situation, changed: Inputs) -> Situation:
    """The situation with another grade of its one study, and that of the programme, which is no better without another.

    A better grade lifts a programme no higher than one study can, and never out of what other findings hold it down by.
    """
    before, now = situation.programme, of_one_study(changed.grade)
    held = before is not None and situation.grade is not None and before < of_one_study(situation.grade)
    programme = before if held or before is None else now
    return replace(situation, grade=changed.grade, programme=programme)


def numbers(situation: Situation) -> tuple[str, str]:
    """What the chain says, in one sentence, French and English; empty where it says nothing."""
    if situation.p_positive is None or situation.net is None:
        return "", ""
    share, net = f"{situation.p_positive * 100:.0f}", f"{situation.net:,.0f}"
    return (
        f"Un bénéfice net a {share} chances sur 100 ; il est en moyenne de {net.replace(',', ' ')} euros par personne",
        f"The probability of a net benefit is {share}%, and it is EUR {net} per person on average",
    )


def _believed(case: Case, shared: Context) -> Posterior | None:
    """What is believed of the effect of the best established finding; None where it is not a number."""
    shown = case.shown
    return shared.beliefs.get(shown.id) if shown is not None and shown.use == "estimate" else None


def _belief(believed: Posterior) -> NormalBelief:
    """In the unit of the outcome, positive is good."""
    spread = _spread(believed)
    return NormalBelief(
        mean=(believed.standardised_mean or 0.0) * spread,
        sd=(believed.standardised_sd or 0.0) * spread,
        grade=believed.grade,
    )


def _spread(believed: Posterior | None) -> float:
    """One standard deviation of the outcome in its unit; 1 where the unit is the standard deviation."""
    return (believed.spread if believed else None) or 1.0


def _shrunk(estimate: float, std_error: float, grade: int, spread: float, synthesis: Synthesis) -> NormalBelief:
    """From standard deviations, bias of the grade included, to the unit of the outcome."""
    found = shrink(np.array(estimate), np.array(std_error), np.array(grade), synthesis)
    return NormalBelief(mean=float(found.mean) * spread, sd=float(found.sd) * spread, grade=grade)


def _unit_cost(case: Case, shared: Context) -> Span | None:
    valuing = shared.policy.valuing
    rows = [row for row in shared.portfolio.costs if row.innovation == case.innovation.id]
    prices = [row for row in shared.portfolio.prices if row.country == "France"]
    return unit_cost(rows, prices, price_year=valuing.price_year, lifetime=valuing.start_up_years).span


def _transfer_sd(spread: float, letter: str | None, *, at_study: bool, shared: Context) -> float | None:
    if at_study:
        return 0.0
    bias = _bias_of(letter, shared)
    return None if bias is None else bias * spread


def _bias_of(letter: str | None, shared: Context) -> float | None:
    """In standard deviations; None where the letter carries no number."""
    return {str(name): sd for name, sd in shared.policy.valuing.transfer_bias_sd.items()}.get(letter or "")
