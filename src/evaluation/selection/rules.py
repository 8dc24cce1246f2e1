"""The ordered rules of decision, as data: the first one whose conditions all hold binds.

    no-finding          DONNEES_INSUFFISANTES    no result about this innovation in the portfolio
    no-comparison       DONNEES_INSUFFISANTES    no effect with a comparison group, no sign by lot, was read
    sign-harm           REVOIR                   only signs were read, and the best established ones are unfavourable
    sign-not-favourable DONNEES_INSUFFISANTES    only signs were read, and none is favourable
    sign-no-cost        DONNEES_INSUFFISANTES    a favourable sign, and no cost
    test-sign           EXPERIMENTER             a favourable sign of a randomised study, and a cost
    stop-harm           NE_PAS_RETENIR           harm is probable and well established, and no test is worth its cost
    harm                REVOIR                   the best established effects are unfavourable, none is favourable
    no-cost             DONNEES_INSUFFISANTES    the cost per person is not known
    stop-value          NE_PAS_RETENIR           a net benefit is improbable, and no test is worth its cost
    scale               GENERALISER              everything that `scale` asks for
    extend              ETENDRE_SOUS_EVALUATION  everything that `extend` asks for: a roll-out by lot, reversible
    test-value          EXPERIMENTER             in doubt, or weakly established, and a test is worth its cost
    extend-in-steps     ETENDRE_SOUS_EVALUATION  what `steps` asks for, where no separate test is worth its cost
    revise-delivery     REVOIR                   too few come, or too little is delivered
    revise-cost         REVOIR                   it works and is too dear
    test-estimate       EXPERIMENTER             an effect was read; a link of the value chain is not known
    not-worth-testing   NE_PAS_RETENIR           none of the above

A condition on something that nobody knows does not hold. Only signs never lead further than a test: the size was not
read. A claim without a comparison group never leads further than DONNEES_INSUFFISANTES.

The rules are laws of one direction (tests/properties/test_selection_laws.py): a higher P(net benefit > 0), a lower
P(harm), a better grade or transfer never take GENERALISER away. Source: shared rules of WSIPP (P of a positive net
benefit), Al-Ubaydli et al. 2021 (replication before scale); the bounds stand in params.yaml, `selection:`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.settings.policy import ExtendBounds, Selection, StepsBounds

Verdict = Literal[
    "GENERALISER", "ETENDRE_SOUS_EVALUATION", "EXPERIMENTER", "REVOIR", "NE_PAS_RETENIR", "DONNEES_INSUFFISANTES"
]
VERDICTS: tuple[Verdict, ...] = (
    "GENERALISER",
    "ETENDRE_SOUS_EVALUATION",
    "EXPERIMENTER",
    "REVOIR",
    "NE_PAS_RETENIR",
    "DONNEES_INSUFFISANTES",
)
WhatWasRead = Literal["none", "no_comparison", "signs", "effect"]
"""What was read: nothing; nothing with a comparison group; signs of randomised studies; the size of an effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the rules look at, for one innovation in one territory; None is what nobody knows.

    Attributes:
        evidence: what was read.
        favourable: some of the results that count are favourable.
        harmful: the best established ones are unfavourable, none of them favourable, and their grade is `harm_grade`
            or more.
        cost_known: per person.
        programme: grade of the programme over all its findings (evidence/programme.py).
        grade: of the best established effect; transfer: to the territory, A to D.
        p_positive: P(net benefit > 0); p_harm: P(effect < 0); p_useful: P(effect > smallest worth having).
        net: expected net benefit for one person.
        value_of_test: expected net benefit of the best test, its cost and delay charged.
        sustained_months: latest horizon at which the effect still holds; cost_sites: where the cost was observed.
        displacement_open: others may lose what some gain, and nobody measured it.
        capacity_plan: who would deliver it at scale is settled.
        take_up, fidelity: shares, as delivered.
    """

    evidence: WhatWasRead
    favourable: bool = False
    harmful: bool = False
    cost_known: bool = False
    grade: int | None = None
    programme: int | None = None
    transfer: str | None = None
    p_positive: float | None = None
    p_harm: float | None = None
    p_useful: float | None = None
    net: float | None = None
    value_of_test: float | None = None
    sustained_months: float | None = None
    cost_sites: int | None = None
    displacement_open: bool = True
    capacity_plan: bool = False
    take_up: float | None = None
    fidelity: float | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a rule asks for."""

    name: str
    holds: Callable[[Situation], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A decision, and everything it takes."""

    name: str
    verdict: Verdict
    conditions: tuple[Condition, ...]

    def applies(self, situation: Situation) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds(situation) for condition in self.conditions)

    def unmet(self, situation: Situation) -> tuple[str, ...]:
        """Names of the conditions that do not hold."""
        return tuple(condition.name for condition in self.conditions if not condition.holds(situation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the rules say.

    Attributes:
        rule: the one that binds; verdict: what it decides.
        near: rules that one condition alone kept from applying, with that condition, in their order; rules about
            what was not read, or a cost that is not known, are left out.
        to_scale, to_extend: what is missing for GENERALISER and ETENDRE_SOUS_EVALUATION.
    """

    rule: str
    verdict: Verdict
    near: tuple[tuple[str, str], ...]
    to_scale: tuple[str, ...]
    to_extend: tuple[str, ...]


def rules(policy: Selection) -> tuple[Rule, ...]:
    """The rules in their order, with the bounds of the policy."""
    return (*_on_what_was_read(), *_on_the_effect(policy), *_on_the_value(policy), *_otherwise())


def binding(situation: Situation, ordered: Sequence[Rule]) -> Rule:
    """The first rule that applies; the last one asks for nothing but an effect that was read."""
    return next(rule for rule in ordered if rule.applies(situation))


def ruling(situation: Situation, ordered: Sequence[Rule]) -> Ruling:
    """The rule that binds, with those that nearly did."""
    bound = binding(situation, ordered)
    unmet = {rule.name: rule.unmet(situation) for rule in ordered}
    return Ruling(
        rule=bound.name,
        verdict=bound.verdict,
        near=tuple(
            (rule.name, unmet[rule.name][0])
            for rule in ordered
            if len(unmet[rule.name]) == 1 and unmet[rule.name][0] not in _GATES and rule.verdict != bound.verdict
        ),
        to_scale=unmet["scale"],
        to_extend=unmet["extend"],
    )


# rules ---------------------------------------------------------------------------------------------------------------


def _read(*kinds: WhatWasRead) -> Condition:
    return Condition(f"read:{'|'.join(kinds)}", lambda s: s.evidence in kinds)


_SIGNS, _EFFECT = _read("signs"), _read("effect")
_GATES = {_SIGNS.name, _EFFECT.name, "read:none", "read:no_comparison", "cost unknown", "value unknown"}
_HARMFUL = Condition("harmful", lambda s: s.harmful)
_NO_COST = Condition("cost unknown", lambda s: not s.cost_known)
_COST = Condition("cost", lambda s: s.cost_known)
_NO_TEST = Condition("no test worth its cost", lambda s: s.value_of_test is not None and s.value_of_test <= 0)
_TEST = Condition("test worth its cost", lambda s: s.value_of_test is not None and s.value_of_test > 0)
_NET = Condition("net", lambda s: s.net is not None and s.net > 0)


def _on_what_was_read() -> tuple[Rule, ...]:
    """Where no size was read, P is not a number, and the path ends at a test."""
    not_favourable = Condition("not favourable", lambda s: not s.favourable)
    return (
        Rule("no-finding", "DONNEES_INSUFFISANTES", (_read("none"),)),
        Rule("no-comparison", "DONNEES_INSUFFISANTES", (_read("no_comparison"),)),
        Rule("sign-harm", "REVOIR", (_SIGNS, _HARMFUL)),
        Rule("sign-not-favourable", "DONNEES_INSUFFISANTES", (_SIGNS, not_favourable)),
        Rule("sign-no-cost", "DONNEES_INSUFFISANTES", (_SIGNS, _NO_COST)),
        Rule("test-sign", "EXPERIMENTER", (_SIGNS,)),
    )


def _on_the_effect(policy: Selection) -> tuple[Rule, ...]:
    stop = policy.stop
    return (
        Rule(
            "stop-harm",
            "NE_PAS_RETENIR",
            (_EFFECT, _grade_from(stop.grade), _at_least("p_harm", stop.p_harm), _NO_TEST),
        ),
        Rule("harm", "REVOIR", (_EFFECT, _HARMFUL)),
        Rule("no-cost", "DONNEES_INSUFFISANTES", (_EFFECT, _NO_COST)),
    )


def _on_the_value(policy: Selection) -> tuple[Rule, ...]:
    stop, scale, revise = policy.stop, policy.scale, policy.revise
    return (
        Rule(
            "stop-value",
            "NE_PAS_RETENIR",
            (_EFFECT, _grade_from(stop.grade), _at_most("p_positive", stop.p_positive), _NO_TEST),
        ),
        Rule(
            "scale",
            "GENERALISER",
            (
                _EFFECT,
                _COST,
                _grade_from(scale.grade),
                _at_least("programme", scale.programme),
                _transfer_from(scale.transfer),
                _at_least("p_positive", scale.p_positive),
                _at_most("p_harm", scale.p_harm),
                _at_least("sustained_months", scale.sustained_months),
                _at_least("cost_sites", scale.cost_sites),
                Condition("displacement", lambda s: not s.displacement_open),
                Condition("capacity", lambda s: s.capacity_plan),
            ),
        ),
        Rule("extend", "ETENDRE_SOUS_EVALUATION", (*_extension(policy, policy.extend), _TEST)),
        Rule("test-value", "EXPERIMENTER", (_EFFECT, _COST, _TEST, _in_doubt(policy))),
        Rule("extend-in-steps", "ETENDRE_SOUS_EVALUATION", _extension(policy, policy.steps)),
        Rule("revise-delivery", "REVOIR", (_EFFECT, _poorly_delivered(policy))),
        Rule(
            "revise-cost",
            "REVOIR",
            (_EFFECT, _at_least("p_useful", revise.p_useful), _below("p_positive", revise.p_positive)),
        ),
    )


def _extension(policy: Selection, bounds: ExtendBounds | StepsBounds) -> tuple[Condition, ...]:
    """Everything that an extension asks for, except that there is something to learn."""
    return (
        _EFFECT,
        _COST,
        _grade_from(bounds.grade),
        _transfer_from(policy.extend.transfer),
        _at_least("p_positive", bounds.p_positive),
        _at_most("p_harm", bounds.p_harm),
        _NET,
    )


def _otherwise() -> tuple[Rule, ...]:
    unknown = Condition("value unknown", lambda s: s.p_positive is None or s.value_of_test is None)
    return (
        Rule("test-estimate", "EXPERIMENTER", (_EFFECT, unknown)),
        Rule("not-worth-testing", "NE_PAS_RETENIR", (_EFFECT,)),
    )


# conditions ----------------------------------------------------------------------------------------------------------


def _grade_from(bound: int) -> Condition:
    return Condition("grade", lambda s: s.grade is not None and s.grade >= bound)


def _transfer_from(letter: str) -> Condition:
    return Condition("transfer", lambda s: s.transfer is not None and s.transfer <= letter)


def _at_least(name: str, bound: float) -> Condition:
    return Condition(name, lambda s: (value := getattr(s, name)) is not None and value >= bound)


def _at_most(name: str, bound: float) -> Condition:
    return Condition(name, lambda s: (value := getattr(s, name)) is not None and value <= bound)


def _below(name: str, bound: float) -> Condition:
    return Condition(name, lambda s: (value := getattr(s, name)) is not None and value < bound)


def _in_doubt(policy: Selection) -> Condition:
    low, high, grade = policy.test.p_low, policy.test.p_high, policy.test.grade_at_most

    def holds(s: Situation) -> bool:
        weak = s.grade is not None and s.grade <= grade
        return weak or (s.p_positive is not None and low < s.p_positive < high)

    return Condition("in doubt", holds)


def _poorly_delivered(policy: Selection) -> Condition:
    take_up, fidelity = policy.revise.take_up, policy.revise.fidelity

    def holds(s: Situation) -> bool:
        few = s.take_up is not None and s.take_up < take_up
        return few or (s.fidelity is not None and s.fidelity < fidelity)

    return Condition("poorly delivered", holds)
