"""One decision for each innovation in each test territory, by ordered rules, with what would change it.

The rules stand in rules.py, their bounds in params.yaml (`selection:`), the value chain in options.py. A decision is
about a programme, never about a person. `decide` gives one line an innovation: the most cautious of its decisions in
the test territories, which the rows of `territories.json` hold one by one.
"""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.diffusion.coverage import Coverage
from evaluation.errors import ParametersError
from evaluation.evidence.record import Record
from evaluation.selection import agenda, options, wanting, wording
from evaluation.selection.cases import Case, Grades, case_of, situation_of, tenor
from evaluation.selection.changes import Inputs, Needed, needed
from evaluation.selection.options import STUDY, Context, Tests, Transfers
from evaluation.selection.readouts import Readout
from evaluation.selection.relevance import Asked, Relevance, relevance
from evaluation.selection.rules import VERDICTS, Rule, Ruling, Situation, Verdict, rules, ruling
from evaluation.selection.value_chain import Chain
from evaluation.settings.facts import Territory
from evaluation.settings.observations import COMPARISON_CLASSES, RANDOMISED_CLASSES
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import nearest
from evaluation.settings.synthesis import Synthesis

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided about one innovation, and why; fields as in decisions.json.

    Attributes:
        rule: the rule that binds.
        near_rules: rules that one condition alone kept from applying, as "rule: condition".
        to_scale, to_extend: conditions of GENERALISER, and of ETENDRE_SOUS_EVALUATION, that are not met.
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
    to_extend: tuple[str, ...]
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
        learning: see agenda.Worth, with `rank` in the learning agenda of the territory (None without a study).
        relevance: see relevance.Relevance; beside the impact, never merged with it.
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
    learning: dict[str, Any] | None = None
    relevance: dict[str, Any] | None = None


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
    learning: agenda.Worth | None
    relevance: Relevance


def decide(
    portfolio: Portfolio,
    records: Iterable[Record],
    grades: Grades,
    rows: Sequence[Coverage],
    policy: Selection | None,
    *,
    synthesis: Synthesis | None = None,
    programmes: Mapping[str, int] | None = None,
    letters: Transfers | None = None,
    transfers: Transfers | None = None,
    tests: Tests | None = None,
    said: Asked | None = None,
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
        programmes: grades of programmes by innovation; without them nothing is generalised.
        letters: letters A to D by finding and territory, as the evidence stage wrote them.
        transfers: letters by innovation and territory that somebody assessed; they go before those of the evidence.
        tests: values of tests by innovation and territory, in euros; they go before those of the learning agenda.
        said: what people said of needs and innovations; nothing if nobody was asked.
        seed: of the Monte Carlo.

    Raises:
        ParametersError: there is no policy, or it names a class of design that does not exist.
        StaleError: a record has no grade.
    """
    policy = _require_policy(policy)
    chosen = sorted((record for record in records if record.role == "decision"), key=lambda record: record.id)
    cases = [
        case_of(each, chosen, grades, rows, portfolio, policy, programmes) for each in portfolio.decision_innovations
    ]
    levels = {finding.id: finding.grade for case in cases for finding in case.findings}
    known = [record for record in chosen if record.id in levels]
    carried = options.carried(cases, letters or {}) | dict(transfers or {})
    shared = options.context(portfolio, known, levels, policy, synthesis, transfers=carried, tests=tests, seed=seed)
    ordered = rules(policy)
    heard = said or Asked()
    decided = [
        (case, [_judge(case, each, shared, ordered, rows, heard) for each in portfolio.test_territories])
        for case in cases
    ]
    cautions = {finding.id: (finding.caution_fr, finding.caution_en) for finding in portfolio.findings}
    return Decided(
        decisions=tuple(_decision(case, judged, policy, cautions) for case, judged in decided),
        local=_ranked([row for case, judged in decided for row in _local(case, judged, shared)], decided),
    )


def write(decided: Decided) -> Path:
    """Write data/selection/decisions.json and territories.json; return the path of the first."""
    target = store.path("data", "selection", "decisions.json")
    store.write_json(target, [decision.as_dict() for decision in decided.decisions])
    store.write_json(store.path("data", "selection", "territories.json"), [asdict(row) for row in decided.local])
    return target


def review_date(decided: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it is shorter."""
    year, month = divmod(decided.year * 12 + decided.month - 1 + months, 12)
    return date(year, month + 1, min(decided.day, calendar.monthrange(year, month + 1)[1]))


# one innovation in one territory -------------------------------------------------------------------------------------


def _judge(
    case: Case,
    territory: Territory,
    shared: Context,
    ordered: Sequence[Rule],
    rows: Sequence[Coverage],
    said: Asked,
) -> _Judged:
    chain = options.chain(case, territory.id, shared)
    value = options.value(chain, shared)
    key = (case.innovation.id, territory.id)
    stake = options.stake(case, territory, chain, value.net, shared)
    learning = None if stake is None else agenda.worth(stake, shared.policy.learning)
    transfer, test = shared.transfers.get(key), shared.tests.get(key, learning.value if learning else None)
    situation = situation_of(case, value, transfer=transfer, value_of_test=test)
    return _Judged(
        territory=territory,
        chain=chain,
        value=value,
        situation=situation,
        ruling=ruling(situation, ordered),
        needed=_needed(case, chain, test, shared, ordered),
        learning=learning,
        relevance=relevance(case.innovation, territory.id, shared.portfolio, rows, said),
    )


def _needed(
    case: Case, chain: Chain, test: float | None, shared: Context, ordered: Sequence[Rule]
) -> tuple[Needed, ...]:
    """Solved only where the chain has numbers: there is nothing to solve where a link is missing."""
    now = options.inputs(case, chain.territory, shared)
    if chain.missing or now is None:
        return ()

    def situation(changed: Inputs) -> Situation:
        moved = options.at(case, chain, changed, shared)
        found = situation_of(case, options.value(moved, shared), transfer=changed.transfer, value_of_test=test)
        return options.regraded(found, changed)

    return needed(situation, now, ordered)


def _local(case: Case, judged: Sequence[_Judged], shared: Context) -> list[Local]:
    at_study = options.value(options.chain(case, STUDY, shared), shared)
    recalled = shared.appraisal.recalled
    said: dict[str, Any] = {
        "recalled_fr": tuple(fr for fr, _ in recalled),
        "recalled_en": tuple(en for _, en in recalled),
    }
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
            relevance=each.relevance.as_dict(),
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


def _ranked(rows: Sequence[Local], decided: Sequence[tuple[Case, Sequence[_Judged]]]) -> tuple[Local, ...]:
    """The rows with what there is to learn, and its place in the learning agenda of each territory."""
    found = {
        (case.innovation.id, each.territory.id): each.learning
        for case, judged in decided
        for each in judged
        if each.learning is not None
    }
    places: dict[Pair, int] = {}
    for territory in sorted({place for _, place in found}):
        here = agenda.ranks((name, worth) for (name, place), worth in found.items() if place == territory)
        places |= {(name, territory): rank for name, rank in here.items()}
    keyed = [(row, (row.innovation, row.territory)) for row in rows]
    return tuple(
        replace(row, learning=asdict(found[key]) | {"rank": places.get(key)}) if key in found else row
        for row, key in keyed
    )


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
        to_extend=chosen.ruling.to_extend,
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
