"""Laws of selection: what better evidence, a higher cost, harm, order and other options may and may not do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.evidence.posterior import Belief, shrink_variance
from evaluation.selection.changes import Inputs, needed
from evaluation.selection.readouts import readout
from evaluation.selection.rules import VERDICTS, Situation, binding, rules, ruling
from evaluation.selection.value_chain import Chain, NormalBelief, Parts, simulate
from evaluation.settings.params import read_params
from evaluation.settings.policy import Span

POLICY = read_params(Path(__file__).resolve().parents[2]).selection
assert POLICY is not None
ORDERED = rules(POLICY)
PRIOR = Belief(mean=0.06, sd=0.10, basis="house", programmes=0)
SCALE = VERDICTS[0]
DRAWS = 400

shares = st.floats(0, 1)
situations = st.builds(
    Situation,
    evidence=st.sampled_from(["none", "no_comparison", "signs", "effect"]),
    favourable=st.booleans(),
    harmful=st.booleans(),
    cost_known=st.booleans(),
    grade=st.none() | st.integers(0, 5),
    transfer=st.none() | st.sampled_from("ABCD"),
    p_positive=st.none() | shares,
    p_harm=st.none() | shares,
    p_useful=st.none() | shares,
    net=st.none() | st.floats(-1000, 1000),
    value_of_test=st.none() | st.floats(-10, 10),
    sustained_months=st.none() | st.floats(0, 60),
    cost_sites=st.none() | st.integers(0, 5),
    displacement_open=st.booleans(),
    capacity_plan=st.booleans(),
    take_up=st.none() | shares,
    fidelity=st.none() | shares,
)
spans = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(
    lambda ends: Span(low=sorted(ends)[0], mode=sorted(ends)[1], high=sorted(ends)[2])
)


def certain(value: float) -> Span:
    return Span(low=value, mode=value, high=value)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    return Chain(
        innovation=draw(st.sampled_from(["bus", "tutoring", "garage"])),
        territory=draw(st.sampled_from(["creil", "thierache"])),
        belief=NormalBelief(mean=draw(st.floats(-0.3, 0.5)), sd=draw(st.floats(0, 0.3)), grade=4),
        transfer_sd=draw(st.floats(0, 0.1)),
        voltage=draw(spans),
        displacement=draw(spans),
        value=certain(draw(st.floats(100, 10_000))),
        unit_cost=certain(draw(st.floats(0, 2_000))),
        people=draw(st.floats(1, 10_000)),
        elasticity=Span(low=-0.15, mode=0, high=0.15),
        public_funds=draw(st.floats(1, 1.5)),
    )


def parts(chain: Chain) -> Parts:
    return simulate([chain], seed=1, draws=DRAWS)[0]


def p_positive(chain: Chain) -> float:
    found = readout(chain, parts(chain)).p_positive
    assert found is not None
    return found


def closed(estimate: float, std_error: float, bias: float, bound: float) -> float:
    """P(effect > bound) in the normal case."""
    variance = np.array(std_error**2 + bias**2)
    return float(shrink_variance(np.array(estimate), variance, PRIOR).above(bound))


# evidence ------------------------------------------------------------------------------------------------------------


@given(
    situation=situations,
    grade=st.integers(0, 5),
    letter=st.sampled_from("ABCD"),
    gain=shares,
    less=shares,
    months=st.floats(0, 60),
)
def test_better_evidence_never_takes_the_label_away(situation, grade, letter, gain, less, months):
    if binding(situation, ORDERED).verdict != SCALE:
        return
    better = replace(
        situation,
        grade=max(situation.grade, grade),
        transfer=min(situation.transfer, letter),
        p_positive=max(situation.p_positive, gain),
        p_harm=min(situation.p_harm, less),
        sustained_months=max(situation.sustained_months, months),
        capacity_plan=True,
    )
    assert binding(better, ORDERED).verdict == SCALE


@given(situation=situations, less=shares, more=shares)
def test_less_value_and_more_harm_never_give_the_label(situation, less, more):
    worse = replace(
        situation,
        p_positive=None if situation.p_positive is None else min(situation.p_positive, less),
        p_harm=None if situation.p_harm is None else max(situation.p_harm, more),
    )
    if binding(worse, ORDERED).verdict == SCALE:
        assert binding(situation, ORDERED).verdict == SCALE


@given(
    estimate=st.floats(-0.5, 1),
    std_error=st.floats(0.01, 0.5),
    bound=st.floats(-0.2, 0.5),
    worse=st.floats(0, 0.3),
    better=st.floats(0, 0.3),
)
def test_a_smaller_bias_raises_the_probability_of_an_estimate_above_the_bound_and_the_prior(
    estimate, std_error, bound, worse, better
):
    """P rises in the weight w whenever d >= c and d >= mu: (d - mu)(2 - w) >= c - mu, because 2 - w >= 1.

    Below the bound a better study rightly lowers P: it says more surely that the effect is not there.
    """
    worse, better = max(worse, better), min(worse, better)
    if estimate < max(bound, PRIOR.mean):
        return
    assert closed(estimate, std_error, better, bound) >= closed(estimate, std_error, worse, bound) - 1e-12


@given(situation=situations)
def test_what_has_no_comparison_group_is_never_extended_and_what_has_only_signs_is_never_more_than_tested(situation):
    verdict = binding(situation, ORDERED).verdict
    if situation.evidence in ("none", "no_comparison"):
        assert verdict == "DONNEES_INSUFFISANTES"
    if situation.evidence == "signs":
        assert verdict in ("EXPERIMENTER", "REVOIR", "DONNEES_INSUFFISANTES")
    if verdict in VERDICTS[:2]:
        assert situation.cost_known


@given(situation=situations)
def test_every_situation_has_one_decision_and_its_reasons_agree(situation):
    found = ruling(situation, ORDERED)
    assert found.verdict in VERDICTS
    assert (found.verdict == SCALE) is (found.rule == "scale")
    if found.rule == "scale":
        assert found.to_scale == ()
    assert found.rule not in dict(found.near)


# cost and harm -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(chain=chains(), dearer=st.floats(0, 5_000))
def test_a_higher_cost_never_raises_the_probability_of_a_net_benefit(chain, dearer):
    more = replace(chain, unit_cost=certain(chain.unit_cost.mode + dearer))
    assert p_positive(more) <= p_positive(chain)
    assert np.all(parts(more).net <= parts(chain).net)


@settings(max_examples=60, deadline=None)
@given(chain=chains(), harm=st.floats(0, 1))
def test_harm_never_raises_it(chain, harm):
    worse = replace(chain, belief=replace(chain.belief, mean=chain.belief.mean - harm))
    assert p_positive(worse) <= p_positive(chain)
    before, after = (readout(each, parts(each)) for each in (chain, worse))
    assert after.p_harm >= before.p_harm
    assert after.net <= before.net + 1e-9


@settings(max_examples=40, deadline=None)
@given(chain=chains(), lost=spans)
def test_displacement_never_raises_it(chain, lost):
    less = replace(chain, displacement=Span(low=0, mode=0, high=0))
    more = replace(chain, displacement=lost)
    assert p_positive(more) <= p_positive(less)


# order, other options, dominance -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(options=st.lists(chains(), min_size=2, max_size=5), data=st.data())
def test_neither_order_nor_other_options_change_a_draw(options, data):
    shuffled = data.draw(st.permutations(range(len(options))))
    together = simulate(options, seed=1, draws=DRAWS)
    for place, index in enumerate(shuffled):
        again = simulate([options[k] for k in shuffled], seed=1, draws=DRAWS)[place]
        np.testing.assert_array_equal(again.net, together[index].net)
        np.testing.assert_array_equal(parts(options[index]).net, together[index].net)
        break


@settings(max_examples=40, deadline=None)
@given(chain=chains(), gain=st.floats(0, 0.5), saving=shares)
def test_a_dominated_variant_never_has_the_better_verdict(chain, gain, saving):
    """The same programme with a larger effect at a lower cost: draw by draw at least as good."""
    better = replace(
        chain,
        belief=replace(chain.belief, mean=chain.belief.mean + gain),
        unit_cost=certain(chain.unit_cost.mode * saving),
    )
    assert np.all(parts(better).net >= parts(chain).net - 1e-9)

    def verdict(each: Chain) -> int:
        found = readout(each, parts(each))
        situation = Situation(
            evidence="effect",
            cost_known=True,
            grade=4,
            programme=4,
            transfer="A",
            p_positive=found.p_positive,
            p_harm=found.p_harm,
            p_useful=found.p_useful,
            net=found.net,
            value_of_test=0.0,
            sustained_months=24,
            cost_sites=2,
            displacement_open=False,
            capacity_plan=True,
        )
        return VERDICTS.index(binding(situation, ORDERED).verdict)

    if verdict(chain) == 0:
        assert verdict(better) == 0
    if verdict(chain) <= 1:
        assert verdict(better) <= 1


# what would change it ------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(estimate=st.floats(-0.2, 0.4), std_error=st.floats(0.02, 0.3), cost=st.floats(0, 0.3), grade=st.integers(1, 5))
def test_a_solved_threshold_is_just_enough(estimate, std_error, cost, grade):
    bias = {5: 0.02, 4: 0.05, 3: 0.075, 2: 0.12, 1: 0.20}

    def model(inputs: Inputs) -> Situation:
        positive = closed(inputs.estimate, inputs.std_error, bias[inputs.grade], inputs.unit_cost)
        return Situation(
            evidence="effect",
            cost_known=True,
            grade=inputs.grade,
            programme=min(inputs.grade, 4),
            transfer=inputs.transfer,
            p_positive=positive,
            p_harm=1 - closed(inputs.estimate, inputs.std_error, bias[inputs.grade], 0.0),
            net=1.0,
            value_of_test=0.0,
            sustained_months=24,
            cost_sites=2,
            displacement_open=False,
            capacity_plan=True,
        )

    now = Inputs(estimate=estimate, std_error=std_error, unit_cost=cost, transfer="B", grade=grade)
    before = VERDICTS.index(binding(model(now), ORDERED).verdict)
    for need in needed(model, now, ORDERED):
        value = int(need.value) if need.what == "grade" else need.value
        reached = binding(model(replace(now, **{need.what: value})), ORDERED).verdict
        assert reached == need.verdict
        assert VERDICTS.index(reached) < before
        if need.what in ("estimate", "unit_cost"):
            short = need.value + (getattr(now, need.what) - need.value) * 1e-6
            if short != need.value:
                assert VERDICTS.index(binding(model(replace(now, **{need.what: short})), ORDERED).verdict) >= min(
                    before, VERDICTS.index("EXPERIMENTER")
                )


def test_a_threshold_in_closed_form_is_found():
    """d needed so that P(effect > c) = 0.60 in the normal case: m = c + 0.2533 sd, d = mu + (m - mu) / w."""
    # tau^2 = 0.01, SE 0.06 and bias 0.075: v = 0.009225, w = 0.520156, sd = 0.0692708
    v, c = 0.06**2 + 0.075**2, 0.05
    w = 0.01 / (0.01 + v)
    wanted = 0.06 + (c + 0.2533471031357997 * np.sqrt(0.01 * (1 - w)) - 0.06) / w

    def model(inputs: Inputs) -> Situation:
        positive = closed(inputs.estimate, inputs.std_error, 0.075, inputs.unit_cost)
        return Situation(
            evidence="effect", cost_known=True, grade=3, transfer="C", p_positive=positive, p_harm=0.0, net=1.0
        )

    now = Inputs(estimate=0.05, std_error=0.06, unit_cost=c, transfer="C", grade=3)
    found = {need.what: need for need in needed(model, now, ORDERED)}
    assert found["estimate"].value == pytest.approx(wanted, abs=1e-9)  # forty halvings of 1/60
    assert found["estimate"].verdict == "ETENDRE_SOUS_EVALUATION"
