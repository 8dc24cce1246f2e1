"""The rubric as a page (docs/rubric.md), made from params.yaml so that the two cannot differ."""

from collections.abc import Iterable, Iterator, Sequence

from evaluation.evidence.rubric import DOMAINS, METHODS, UNCOMPARED, Band, Ceiling, Rubric, Rule

_BASIS = {
    "published": "published: a standard says so",
    "benchmark": "benchmark: computed on studies whose answer is known",
    "house": "house: we say so",
}
_CONDITIONS = {
    "high_attrition": "only where the attrition of a trial is above the WWC's optimistic boundary",
    "several_cohorts": "only where units started at different dates",
    "declared": "only where the evaluation declares negative controls",
    "measured": "only where it could be measured",
}
_WAIVERS = {
    "precise_null": "not counted when the 90 % interval lies within the smallest effect worth having (a precise null)",
    "interval_includes_no_effect": "not counted when the interval includes no effect (that is a question of precision)",
}
_MEASURES = {
    "wwc_attrition": "0 below the cautious boundary, 1 below the optimistic one, 2 above",
    "share_of_effect": "over the size of the effect",
    "share_of_smallest_effect": "over the smallest effect worth having",
}


_TESTED = {
    "never": "p-value",
    "outcome_before_used": "p-value, where the analysis does not adjust for the outcome before",
}
_ERRORS = {
    "share_of_those_wanted": "the sampling error of a share of the people whose effect is wanted",
    "share_of_all": "the sampling error of a share of all",
    "difference": "the sampling error of a standardised difference",
    "differential_attrition": "the sampling error of a difference of shares",
    "strength": "the chance that so strong an instrument shows so small an F",
}
_KINDS = """A claim, a take-up rate, a level and an unread result are not effects: no check is read for them. A sign
without a size is graded by the checks like an effect."""


def rubric_markdown(rubric: Rubric) -> str:
    """The text of docs/rubric.md."""
    parts = [
        _introduction(rubric),
        _levels(rubric),
        "## The most that a design can reach",
        _ceilings("design", rubric.ceilings.items()),
        "## The most that a kind of finding can reach",
        _KINDS,
        _ceilings("kind", rubric.kinds.items()),
        "## What each check costs",
        _costs(rubric),
        *(_domain(domain, rubric) for domain in DOMAINS),
        *_alarm(rubric),
        "## Who says so",
        "\n".join(f"* {text}" for text in _BASIS.values()),
        "Sources marked 'recalled' were quoted from memory and remain to be read again.",
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(rubric: Rubric) -> str:
    return f"""# Rubric {rubric.version}

<!-- Made from the section `rubric` of params.yaml by evidence/rubric_page.py. Do not edit: change params.yaml. -->

How sure are we of one finding (one programme, one outcome, one horizon)? The grade says how sure, never whether it
works: that is the verdict, which stands beside it.

    grade = floor(min(ceiling of the design, caps) - loss of the worst domain
                  - {rubric.further_loss:g} if at least {rubric.further_domains} further domains lose),
            at least {rubric.lowest_with_comparison} where there is a comparison group

A domain whose cap has lowered the ceiling has been charged by that and is not charged again."""


def _costs(rubric: Rubric) -> str:
    return f"""Within a domain only the worst check counts. A check that was not run costs {rubric.not_run_loss:g};
one that does not apply costs nothing. Of the bands of a check the first one that holds counts. The sentences are
those that readers see: for each band that has its own, then for the others, then for a check that was not run."""


def _levels(rubric: Rubric) -> str:
    ordered = sorted(rubric.levels, key=lambda level: -level.level)
    rows = [(level.level, level.fr, level.en, level.means_fr, level.means_en) for level in ordered]
    return _table(("grade", "français", "English", "sens", "meaning"), rows)


def _ceilings(name: str, items: Iterable[tuple[str, Ceiling]]) -> str:
    rows = [(_code(key), item.level, item.fr, item.en, item.basis, item.cite) for key, item in items]
    return _table((name, "at most", "français", "English", "basis", "source"), rows)


def _domain(domain: str, rubric: Rubric) -> str:
    words = rubric.domains[domain]
    rules = [_rule(rule) for rule in rubric.rules if rule.domain == domain]
    return "\n\n".join([f"### {words.en} ({words.fr})", *rules])


def _rule(rule: Rule) -> str:
    measured = f"`{rule.check}`" + (f" with `{rule.companion}`" if rule.companion else "")
    remarks = [_MEASURES.get(rule.measure), _CONDITIONS.get(rule.only_if), _WAIVERS.get(rule.skip_if)]
    lines = [
        f"**{rule.id}** reads {measured}, for {_methods(rule)}; {rule.basis}: {rule.cite}.",
        *(f"{remark[0].upper()}{remark[1:]}." for remark in remarks if remark),
    ]
    rows = [(_bound(band), f"{band.loss:g}", "" if band.cap is None else band.cap) for band in rule.bands]
    return "\n\n".join([" ".join(lines), _table(("value", "loss", "cap"), rows), _sentences(rule)])


def _sentences(rule: Rule) -> str:
    own = [(band.fr, band.en) for band in rule.bands if band.fr is not None or band.en is not None]
    pairs = [*own, (rule.fr, rule.en), (rule.not_run_fr, rule.not_run_en)]
    return "\n".join(f"* {fr or rule.fr} — {en or rule.en}" for fr, en in pairs)


def _methods(rule: Rule) -> str:
    return _named(rule.methods) + (f" (but not {', '.join(rule.except_classes)})" if rule.except_classes else "")


def _named(methods: Sequence[str]) -> str:
    compared = [method for method in METHODS if method not in UNCOMPARED]
    return "every method with a comparison group" if list(methods) == compared else ", ".join(methods)


def _alarm(rubric: Rubric) -> Iterator[str]:
    """What contradicts an analysis, and how it is judged."""
    alarm = rubric.alarm
    if alarm is None:
        return
    yield "## Alarms: what contradicts an analysis"
    yield f"""A grade says how sure one can be; an alarm says that something is wrong. It is one test at
{100 * alarm.level:g} % of all that a finding shows of what is listed here (Holm): a right analysis rings in at most
that share of cases, however much is looked at. Sensitivity, power, equivalence and what was not run lower the grade and
never ring. {alarm.basis}: {alarm.cite}."""
    rows = [(_code(test.check), _TESTED[test.unless], _named(test.methods)) for test in alarm.tests]
    for bound in alarm.bounds:
        rule = rubric.rule(bound.rule)
        rows.append((_code(rule.check), f"{_limit(rule)}, beyond {_ERRORS[bound.error]}", _methods(rule)))
    for name in alarm.facts:
        rule = rubric.rule(name)
        rows.append(
            (_code(rule.check), f"{_limit(rule)}: it describes the comparison, and estimates nothing", _methods(rule))
        )
    yield _table(("check", "rings", "methods"), rows)


def _limit(rule: Rule) -> str:
    """What costs a whole level."""
    if rule.measure == "wwc_attrition":
        return "above the WWC's optimistic boundary"
    return f"{'above' if rule.bands[0].at_most is not None else 'below'} {rule.serious_from:g}"


def _bound(band: Band) -> str:
    parts = [f"≤ {band.at_most:g}"] if band.at_most is not None else []
    parts += [f"≥ {band.at_least:g}"] if band.at_least is not None else []
    parts += [f"power ≥ {band.power_at_least:g}"] if band.power_at_least is not None else []
    return " and ".join(parts) or "otherwise"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`"
