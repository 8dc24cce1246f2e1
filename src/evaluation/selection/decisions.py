"""One decision for each innovation in each test territory, by ordered rules, with what would change it.

The rules stand in rules.py, their bounds in params.yaml (`selection:`), the value chain in options.py. A decision is
about a programme, never about a person. `decide` gives one line an innovation: the most cautious of its decisions in
the test territories, which the rows of `territories.json` hold one by one.
"""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.diffusion.coverage import Coverage, coverage
from evaluation.errors import ParametersError
from evaluation.evidence.record import Record
from evaluation.selection import options, wanting, wording
from evaluation.selection.cases import Case, Grades, case_of, situation_of, tenor
from evaluation.selection.changes import Inputs, Needed, needed
from evaluation.selection.options import STUDY, Context, Tests, Transfers
from evaluation.selection.readouts import Readout
from evaluation.selection.rules import VERDICTS, Rule, Ruling, Situation, Verdict, rules, ruling
from evaluation.selection.value_chain import Chain
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import COMPARISON_CLASSES, RANDOMISED_CLASSES, Portfolio, Territory
from evaluation.settings.problems import nearest
from evaluation.settings.synthesis import Synthesis

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided about one innovation, and why; fields as in decisions.json.

    Attributes:
        rule: the rule that binds.
        near_rules: rules that one condition alone kept from applying, as "rule: condition".
        to_scale: conditions of GENERALISER that are not met.
        best_grade, best_record: of the usable finding with the highest grade; of any finding where none is usable.
        findings: ids of all records about the innovation.
        cost_per_participant: in `cost_currency`; None where it is not known.
        would_change_fr, would_change_en: what is missing, or what a test would bring, line by line.
    """

    innovation: str
    difficulty: str
    decision: Verdict
    label_fr: str
    label_en: str
    rule: str
    near_rules: tuple[str, ...]
    to_scale: tuple[str, ...]
    reason_fr: str
    reason_en: str
    would_change_fr: tuple[str, ...]
    would_change_en: tuple[str, ...]
    best_grade: int | None
    best_record: str | None
    findings: tuple[str, ...]
    cost_per_participant: float | None
    cost_currency: str | None
    cost_confidence: str | None
    in_france: bool
    scope_fr: str
    scope_en: str
    owner: str
    date: str
    review_date: str

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain data, for decisions.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What is decided about one innovation in one territory, with the numbers of its value chain.

    Attributes:
        territory: id, or `study` for the place of the study, which decides nothing: there `decision` is None.
        transfer: letter, None where nobody assessed it.
        needed: changes that would be enough by themselves, as {what, value, verdict}.
        value: see readouts.Readout.
        recalled_fr, recalled_en: parameters of appraisal behind the amounts that were recalled from memory, not read.
    """

    innovation: str
    territory: str
    territory_label: str
    decision: Verdict | None
    rule: str | None
    transfer: str | None
    needed: tuple[dict[str, Any], ...]
    value: dict[str, Any]
    recalled_fr: tuple[str, ...]
    recalled_en: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """All decisions.

    Attributes:
        decisions: one an innovation.
        local: one an innovation and place, the place of the study included.
    """

    decisions: tuple[Decision, ...]
    local: tuple[Local, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One innovation in one territory, before words."""

    territory: Territory
    chain: Chain
    value: Readout
    situation: Situation
    ruling: Ruling
    needed: tuple[Needed, ...]


def decide(
    portfolio: Portfolio,
    records: Iterable[Record],
    grades: Grades,
    rows: Sequence[Coverage],
    policy: Selection | None,
    *,
    synthesis: Synthesis | None = None,
    transfers: Transfers | None = None,
    tests: Tests | None = None,
    seed: int = 0,
) -> Decided:
    """Decide on each innovation of the portfolio with role decision, in its order.

    Args:
        portfolio: innovations, costs, valuations, what was delivered.
        records: of all findings; those of benchmarks are left out.
        grades: by record id.
        rows: of coverage.
        policy: the `selection:` section of params.yaml.
        synthesis: its `synthesis:` section; without it no effect becomes a belief, and nothing has a net benefit.
        transfers: letters A to D by innovation and territory, where somebody assessed them.
        tests: values of tests by innovation and territory, where somebody computed them.
        seed: of the Monte Carlo.

    Raises:
        ParametersError: there is no policy, or it names a class of design that does not exist.
        StaleError: a record has no grade.
    """
    policy = _require_policy(policy)
    chosen = sorted((record for record in records if record.role == "decision"), key=lambda record: record.id)
    cases = [case_of(each, chosen, grades, rows, portfolio, policy) for each in portfolio.decision_innovations]
    levels = {finding.id: finding.grade for case in cases for finding in case.findings}
    known = [record for record in chosen if record.id in levels]
    shared = options.context(portfolio, known, levels, policy, synthesis, transfers=transfers, tests=tests, seed=seed)
    ordered = rules(policy)
    decided = [(case, [_judge(case, each, shared, ordered) for each in portfolio.test_territories]) for case in cases]
    cautions = {finding.id: (finding.caution_fr, finding.caution_en) for finding in portfolio.findings}
    return Decided(
        decisions=tuple(_decision(case, judged, policy, cautions) for case, judged in decided),
        local=tuple(row for case, judged in decided for row in _local(case, judged, shared)),
    )


def write(
    portfolio: Portfolio,
    records: Iterable[Record],
    grades: Grades,
    policy: Selection | None,
    *,
    synthesis: Synthesis | None = None,
    seed: int = 0,
) -> Path:
    """Decide, write data/selection/decisions.json and territories.json; return the path of the first."""
    decided = decide(portfolio, records, grades, coverage(portfolio), policy, synthesis=synthesis, seed=seed)
    target = store.path("data", "selection", "decisions.json")
    store.write_json(target, [decision.as_dict() for decision in decided.decisions])
    store.write_json(store.path("data", "selection", "territories.json"), [asdict(row) for row in decided.local])
    return target


def review_date(decided: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it is shorter."""
    year, month = divmod(decided.year * 12 + decided.month - 1 + months, 12)
    return date(year, month + 1, min(decided.day, calendar.monthrange(year, month + 1)[1]))


# one innovation in one territory -------------------------------------------------------------------------------------


def _judge(case: Case, territory: Territory, shared: Context, ordered: Sequence[Rule]) -> _Judged:
    chain = options.chain(case, territory.id, shared)
    value = options.value(chain, shared)
    key = (case.innovation.id, territory.id)
    transfer, test = shared.transfers.get(key), shared.tests.get(key)
    situation = situation_of(case, value, transfer=transfer, value_of_test=test)
    return _Judged(
        territory=territory,
        chain=chain,
        value=value,
        situation=situation,
        ruling=ruling(situation, ordered),
        needed=_needed(case, chain, shared, ordered),
    )


def _needed(case: Case, chain: Chain, shared: Context, ordered: Sequence[Rule]) -> tuple[Needed, ...]:
    """Solved only where the chain has numbers: there is nothing to solve where a link is missing."""
    now = options.inputs(case, chain.territory, shared)
    if chain.missing or now is None:
        return ()

    def situation(changed: Inputs) -> Situation:
        moved = options.at(case, chain, changed, shared)
        test = shared.tests.get((case.innovation.id, chain.territory))
        found = situation_of(case, options.value(moved, shared), transfer=changed.transfer, value_of_test=test)
        return options.regraded(found, changed)

    return needed(situation, now, ordered)


def _local(case: Case, judged: Sequence[_Judged], shared: Context) -> list[Local]:
    at_study = options.value(options.chain(case, STUDY, shared), shared)
    recalled = shared.appraisal.recalled
    said = {"recalled_fr": tuple(fr for fr, _ in recalled), "recalled_en": tuple(en for _, en in recalled)}
    rows = [
        Local(
            innovation=case.innovation.id,
            territory=each.territory.id,
            territory_label=each.territory.label_fr,
            decision=each.ruling.verdict,
            rule=each.ruling.rule,
            transfer=each.situation.transfer,
            needed=tuple(asdict(need) for need in each.needed),
            value=_plain(each.value),
            **said,
        )
        for each in judged
    ]
    study = Local(
        innovation=case.innovation.id,
        territory=STUDY,
        territory_label="",
        decision=None,
        rule=None,
        transfer=None,
        needed=(),
        value=_plain(at_study),
        **said,
    )
    return [*rows, study]


def _plain(value: Readout) -> dict[str, Any]:
    """A programme that pays for itself has an infinite ratio, which JSON does not hold: it is written as a word."""
    row = asdict(value)
    return {**row, "mvpf": "infinite"} if row["mvpf"] == float("inf") else row


# one innovation ------------------------------------------------------------------------------------------------------


def _decision(
    case: Case, judged: Sequence[_Judged], policy: Selection, cautions: Mapping[str, tuple[str, str]]
) -> Decision:
    chosen = max(judged, key=lambda each: VERDICTS.index(each.ruling.verdict))
    verdict, shown = chosen.ruling.verdict, case.shown
    caution = cautions.get(shown.id, ("", "")) if shown else ("", "")
    said = wording.told(chosen.ruling.rule, _facts(case, caution, chosen, policy))
    return Decision(
        innovation=case.innovation.id,
        difficulty=str(case.innovation.difficulty),
        decision=verdict,
        label_fr=wording.LABELS[verdict][0],
        label_en=wording.LABELS[verdict][1],
        rule=chosen.ruling.rule,
        near_rules=tuple(f"{rule}: {condition}" for rule, condition in chosen.ruling.near),
        to_scale=chosen.ruling.to_scale,
        reason_fr=said.reason_fr,
        reason_en=said.reason_en,
        would_change_fr=said.would_change_fr,
        would_change_en=said.would_change_en,
        best_grade=shown.grade if shown else None,
        best_record=shown.id if shown else None,
        findings=tuple(finding.id for finding in case.findings),
        cost_per_participant=case.cost.per_participant if case.cost else None,
        cost_currency=case.cost.currency if case.cost else None,
        cost_confidence=case.cost.confidence if case.cost else None,
        in_france=case.innovation.in_france,
        scope_fr=wording.SCOPE_FR,
        scope_en=wording.SCOPE_EN,
        owner=policy.owner,
        date=policy.decision_date.isoformat(),
        review_date=review_date(policy.decision_date, policy.review_months).isoformat(),
    )


def _facts(case: Case, caution: tuple[str, str], judged: _Judged, policy: Selection) -> wording.Facts:
    usable = case.usable
    return wording.Facts(
        grade=usable[0].grade if usable else None,
        favour=tenor(case.best) if usable else "undefined",
        only_signs=bool(usable) and not case.estimates,
        weak_signs=any(finding.weak_sign for finding in case.findings),
        caution=caution,
        unread=tuple(finding.citation for finding in case.findings if finding.not_read),
        recalled=tuple(finding.citation for finding in case.findings if finding.recalled),
        cost=case.cost.per_participant if case.cost else None,
        currency=case.cost.currency if case.cost else None,
        in_france=case.innovation.in_france,
        family=case.innovation.family,
        locally_counted=case.locally_counted,
        wanted=_wanted(case, judged, policy),
        numbers=options.numbers(judged.situation),
    )


def _wanted(case: Case, judged: _Judged, policy: Selection) -> tuple[Pair, ...]:
    """Only where an effect was read and has a price is a roll-out near enough to say what it would take."""
    if judged.situation.evidence != "effect" or not judged.situation.cost_known or case.harmful:
        return ()
    lines = (
        *wanting.solved(judged.needed, wording.LABELS),
        wanting.for_scale(judged.ruling.to_scale, policy),
        wanting.missing_links(judged.value.missing),
    )
    return tuple(line for line in lines if line is not None)


# the policy ----------------------------------------------------------------------------------------------------------


def _require_policy(policy: Selection | None) -> Selection:
    if policy is None:
        raise ParametersError(
            code="E-SEL-001",
            what="There is no selection policy.",
            where="params.yaml",
            found="no section 'selection:'",
            expected=f"{', '.join(Selection.model_fields)}",
            fix="restore the section 'selection:' of params.yaml",
        )
    _require_known(policy.comparison_designs, COMPARISON_CLASSES, "comparison_designs")
    _require_known(policy.sign_path_designs, RANDOMISED_CLASSES, "sign_path_designs")
    return policy


def _require_known(named: Sequence[str], known: Sequence[str], key: str) -> None:
    unknown = [design for design in named if design not in known]
    if unknown:
        near = nearest(unknown[0], known)
        raise ParametersError(
            code="E-SEL-003",
            what="The selection policy names a class of design that cannot serve here.",
            where=f"params.yaml, selection.{key}",
            found=repr(unknown[0]),
            expected=f"one of {', '.join(known)}",
            fix=f"did you mean {near}?" if near else "correct the list",
        )
