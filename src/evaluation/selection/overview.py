"""Tables of selection for experts: what was decided where, what would change it, and a portfolio under a budget.

The tables of decisions come from data/selection and hold what was read and nothing else. No innovation of the portfolio
has a net benefit yet, so that the budget is shown on a planted portfolio (world W1 of evidence/worlds.py), marked as
simulated in its every label: it says how the choice works, and nothing about any programme.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from evaluation import store
from evaluation.evidence.posterior import house_belief, shrink_variance
from evaluation.evidence.programme import of_one_study
from evaluation.evidence.worlds import WORLDS, draw
from evaluation.selection import allocation, readouts
from evaluation.selection.learning import value_of_test
from evaluation.selection.program import Limits, Option, Program, program
from evaluation.selection.rules import Rule, Situation, binding
from evaluation.selection.trials import Study
from evaluation.selection.value_chain import Chain, NormalBelief, Parts, simulate
from evaluation.settings.params import Params
from evaluation.settings.policy import Span
from evaluation.settings.synthesis import Prior

FUNDER = ("simulated", 2027)
_EURO_PER_SD, _SIMULATED = 10_000.0, "simulated"
_SIZES: Mapping[str, float] = {"small": 100.0, "medium": 300.0, "large": 900.0}
_TERRITORIES = ("urban", "rural")
_SHOWN, _POINTS, _WILLINGNESS, _DRAWS = 12, 7, 41, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A planted portfolio and what the budget buys; everything in it is simulated.

    Attributes:
        league: one row an innovation: label, decision, net, net_low, net_high, p_positive.
        plane: label, gain, gain_low, gain_high, cost.
        curves: label, willingness, probability.
        links: link, low, high, share, of the first innovation of the league.
        frontier: expected_false, value.
        chosen: what the budget buys: option, value, cost, inclusion (over the draws).
        prices: limit, price.
    """

    league: pd.DataFrame
    plane: pd.DataFrame
    curves: pd.DataFrame
    links: pd.DataFrame
    frontier: pd.DataFrame
    chosen: pd.DataFrame
    prices: pd.DataFrame


def decided() -> pd.DataFrame:
    """Decisions by innovation, with the rule that binds and the conditions of a roll-out that are not met."""
    rows = store.read_json(store.path("data", "selection", "decisions.json"))
    columns = ["innovation", "decision", "rule", "best_grade", "cost_per_participant", "cost_currency", "to_scale"]
    return pd.DataFrame(rows)[[*columns, "review_date"]].sort_values(["decision", "innovation"], ignore_index=True)


def changes() -> pd.DataFrame:
    """What would change each decision that is more than a lack of data."""
    rows = pd.DataFrame(store.read_json(store.path("data", "selection", "decisions.json")))
    kept = rows[rows.decision != "DONNEES_INSUFFISANTES"]
    return kept[["innovation", "decision", "near_rules", "would_change_en"]].reset_index(drop=True)


def places() -> pd.DataFrame:
    """Decisions by innovation and territory, with the links of the value chain that nobody knows."""
    rows = store.read_json(store.path("data", "selection", "territories.json"))
    return pd.DataFrame(
        [
            {key: row[key] for key in ("innovation", "territory", "decision", "rule", "transfer")}
            | {key: row["value"][key] for key in ("missing", "p_useful", "p_harm", "cost", "cost_per_outcome", "net")}
            for row in rows
        ]
    )


def at_study(table: pd.DataFrame) -> pd.DataFrame:
    """Of `places`, what the chain says where the study took place; it decides nothing."""
    kept = table[(table.territory == "study") & table.p_useful.notna()]
    return kept.drop(columns=["territory", "decision", "rule", "transfer"]).reset_index(drop=True)


def demonstrate(params: Params, ordered: Sequence[Rule], *, innovations: int = _SHOWN) -> Demonstration:
    """Choose from a planted portfolio, by the same code and the same bounds as from the real one.

    Args:
        params: policy, prior, seed.
        ordered: the rules.
        innovations: how many are planted.
    """
    assert params.selection is not None  # noqa: S101 the caller read it
    assert params.synthesis is not None  # noqa: S101
    chains = _planted(params, params.synthesis.prior, innovations)
    simulated = simulate(chains, seed=params.seed, draws=params.selection.valuing.draws)
    numbers = [readouts.readout(chain, parts) for chain, parts in zip(chains, simulated, strict=True)]
    league = pd.DataFrame([_league_row(each, ordered) for each in numbers]).sort_values("net", ascending=False)
    programme, draws = _programme(chains, simulated, league, params.selection.false_share)
    best = allocation.allocate(programme)
    included = allocation.inclusion(programme, draws[:_DRAWS], method="relaxed")
    first = next(chain for chain in chains if chain.innovation == league.label.iloc[0])
    return Demonstration(
        league=league.reset_index(drop=True),
        plane=pd.DataFrame([_plane_row(chain, parts) for chain, parts in zip(chains, simulated, strict=True)][:6]),
        curves=_curves(chains[:3], simulated[:3]),
        links=pd.DataFrame(
            [
                {"link": each.link, "low": each.low, "high": each.high, "share": each.share}
                for each in readouts.importance(first, seed=params.seed, draws=params.selection.valuing.draws)
            ]
        ),
        frontier=pd.DataFrame(
            [
                {"expected_false": point.allocation.expected_false, "value": point.allocation.value}
                for point in allocation.frontier(programme, _POINTS)
            ]
        ),
        chosen=_chosen(programme, best.chosen, included.probability),
        prices=pd.DataFrame(sorted(best.prices.items()), columns=["limit", "price"]),
    )


# the planted portfolio -----------------------------------------------------------------------------------------------


def _planted(params: Params, prior: Prior, innovations: int) -> list[Chain]:
    drawn = draw(replace(WORLDS["W1"], innovations=innovations), 1, np.random.default_rng(params.seed))
    variance = np.square(drawn.std_error) + np.square(drawn.bias_sd)
    belief = shrink_variance(drawn.estimate, variance, house_belief(prior))
    columns = zip(belief.mean[0].tolist(), belief.sd[0].tolist(), drawn.grade[0].tolist(), strict=True)
    valuing = params.selection.valuing if params.selection else None
    voltage = valuing.voltage["several_sites"] if valuing else Span(low=1, mode=1, high=1)
    cost = _EURO_PER_SD * drawn.world.cost
    return [
        Chain(
            innovation=f"{_SIMULATED} {place + 1:02d}",
            territory=_SIMULATED,
            belief=NormalBelief(mean=mean, sd=sd, grade=grade),
            transfer_sd=0.0,
            voltage=voltage,
            value=Span(low=0.8 * _EURO_PER_SD, mode=_EURO_PER_SD, high=1.2 * _EURO_PER_SD),
            value_key=_SIMULATED,
            unit_cost=Span(low=0.5 * cost, mode=0.5 * cost * (1 + place % 3 / 2), high=cost),
        )
        for place, (mean, sd, grade) in enumerate(columns)
    ]


def _league_row(each: readouts.Readout, ordered: Sequence[Rule]) -> dict[str, Any]:
    low, high = each.net_low or 0.0, each.net_high or 0.0
    sd = np.array((high - low) / (2 * float(ndtri(readouts.OUTER[1]))))
    study = Study()
    test = value_of_test(
        np.array(each.net),
        sd,
        study.std_error * _EURO_PER_SD,
        cost=study.cost * _EURO_PER_SD,
        delay=study.delay,
    )
    situation = Situation(
        evidence="effect",
        cost_known=True,
        grade=each.grade,
        programme=None if each.grade is None else of_one_study(each.grade),
        transfer="A",
        p_positive=each.p_positive,
        p_harm=each.p_harm,
        p_useful=each.p_useful,
        net=each.net,
        value_of_test=float(test),
        sustained_months=12,
        cost_sites=2,
        displacement_open=False,
        capacity_plan=True,
    )
    return {
        "label": each.innovation,
        "decision": binding(situation, ordered).verdict,
        "net": each.net,
        "net_low": each.net_low,
        "net_high": each.net_high,
        "p_positive": each.p_positive,
        "benefit_cost_ratio": each.benefit_cost_ratio,
    }


def _plane_row(chain: Chain, parts: Parts) -> dict[str, Any]:
    low, high = np.quantile(parts.gain, readouts.OUTER)
    return {
        "label": chain.innovation,
        "gain": float(parts.gain.mean()),
        "gain_low": float(low),
        "gain_high": float(high),
        "cost": float(parts.cost.mean()),
    }


def _curves(chains: Sequence[Chain], simulated: Sequence[Parts]) -> pd.DataFrame:
    willing = np.linspace(0, 2 * _EURO_PER_SD, _WILLINGNESS)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "label": chain.innovation,
                    "willingness": willing,
                    "probability": readouts.acceptability(chain, parts, willing),
                }
            )
            for chain, parts in zip(chains, simulated, strict=True)
        ],
        ignore_index=True,
    )


def _programme(
    chains: Sequence[Chain], simulated: Sequence[Parts], league: pd.DataFrame, false_share: float
) -> tuple[Program, np.ndarray]:
    """Options of three sizes in two territories; a budget of a third of what all large ones would cost."""
    rows = league.set_index("label")
    nets = {chain.innovation: parts.net for chain, parts in zip(chains, simulated, strict=True)}
    options = [
        Option(
            innovation=chain.innovation,
            territory=territory,
            size=size,
            value=float(parts.net.mean()) * people**0.95,
            costs={FUNDER: float(parts.cost.mean()) * people},
            p_positive=float(rows.p_positive[chain.innovation]),
            scales=rows.decision[chain.innovation] == "GENERALISER",
            groups=frozenset({territory}),
        )
        for chain, parts in zip(chains, simulated, strict=True)
        for territory in _TERRITORIES
        for size, people in _SIZES.items()
    ]
    budget = sum(option.cost for option in options if option.size == "medium") / 2
    limits = Limits(budgets={FUNDER: budget}, shares={"rural": 0.4}, false_share=false_share)
    built = program(options, limits)
    scale = np.array([_SIZES[option.size] ** 0.95 for option in built.options])
    return built, np.array([nets[option.innovation] for option in built.options]).T * scale


def _chosen(programme: Program, chosen: Sequence[str], probability: np.ndarray) -> pd.DataFrame:
    rows = [
        {"option": option.id, "value": option.value, "cost": option.cost, "inclusion": float(share)}
        for option, share in zip(programme.options, probability, strict=True)
        if option.id in chosen
    ]
    return pd.DataFrame(rows, columns=["option", "value", "cost", "inclusion"])
