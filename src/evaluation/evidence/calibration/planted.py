"""Level 1: portfolios of records whose truth is known, graded by the code that grades real ones.

A finding has a design, a standard error and what its checks found. Whether a check of the design's comparability is bad
is drawn; if one is, the planted bias is that of the next worse design. The bias of designs is the literature's, not the
grade's:

    randomised .02 (house) · event study .05 (comparative interrupted series, 12 benchmarks) · matching with a pretest
    .073 and without .121 (39 within-study comparisons) · raw comparison .20 (house)

so that the grade has to find out how biased a finding can be: it is computed from the record, and its declared bias is
held against the planted one. In world W6 biases are twice as large.

Source: reference note A1 ("how biased are designs really?"); worlds: evidence/worlds.py.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from evaluation.evidence import grading, record
from evaluation.evidence.posterior import bias_sd
from evaluation.evidence.record import Headline, Record
from evaluation.evidence.rubric import Rubric, Rule
from evaluation.evidence.worlds import WORLDS, Drawn, World, by_grade, draw
from evaluation.settings.synthesis import Synthesis

DESIGNS: Final = (
    ("experiment", "randomised"),
    ("did", "event_study"),
    ("matching", "matching_pretest"),
    ("matching", "matching"),
    ("comparison", "raw_comparison"),
)
BIASES: Final = (0.02, 0.05, 0.073, 0.121, 0.20)
STD_ERRORS: Final = (0.05, 0.08, 0.12)
VARIANTS: Final = 60  # templates for each design
GOOD, MIDDLING, BAD, UNKNOWN = 0.85, 0.07, 0.05, 0.03  # how often a check is in its best band, between, worst, not run
MDES: Final = 2.8  # standard errors: 80 % power at 5 %
COMPARABILITY: Final = "identification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A record without its numbers.

    Attributes:
        record: a valid one; estimate and standard error are put in later.
        bias: planted standard deviation.
        std_error: of the estimate.
    """

    record: Record
    bias: float
    std_error: float


def templates(rubric: Rubric, rng: np.random.Generator, variants: int = VARIANTS) -> tuple[Template, ...]:
    """Records of every design with checks drawn over the bands of the rubric, VARIANTS of each design."""
    return tuple(
        _template(f"planted-{design}-{variant}", design, rubric, rng)
        for design in range(len(DESIGNS))
        for variant in range(variants)
    )


def portfolios(world: World, number: int, made: Sequence[Template], rubric: Rubric, rng: np.random.Generator) -> Drawn:
    """Portfolios of one world whose grades are computed; `bias_sd` still holds the planted biases.

    Args:
        world: effects, lies and correlations.
        number: of portfolios.
        made: templates, each as likely.
        rubric: the rules.
        rng: random numbers.
    """
    flat = tuple(each.bias for each in made)
    errors = tuple(each.std_error for each in made)
    planted = replace(
        world,
        design_shares=(1 / len(made),) * len(made),
        std_errors=errors,
        bias_sds=flat,
        grades=tuple(range(len(made))),
    )
    drawn = draw(planted, number, rng)
    pairs = zip(drawn.grade.ravel().tolist(), drawn.estimate.ravel().tolist(), strict=True)
    grades = [grade_of(made[place], estimate, rubric) for place, estimate in pairs]
    return replace(drawn, world=world, grade=np.array(grades, dtype=np.int64).reshape(drawn.grade.shape))


def grade_of(template: Template, estimate: float, rubric: Rubric) -> int:
    """What the code that grades says of one planted finding."""
    return grading.grade(filled(template, estimate), rubric, explain=False).value


def filled(template: Template, estimate: float) -> Record:
    """The template with its numbers; not validated again, since only two numbers are new."""
    headline = Headline.model_construct(estimate=estimate, std_error=template.std_error, outcome_sd=1.0)
    return template.record.model_copy(update={"headline": headline})


def calibrate(
    worlds: Sequence[str], repetitions: int, seed: int, rubric: Rubric, settings: Synthesis
) -> dict[str, Any]:
    """Rows by grade for each world, as plain data.

    Args:
        worlds: names of WORLDS.
        repetitions: portfolios of each.
        seed: of all draws; each world has its own stream, so that leaving one out changes no other.
        rubric: the rules.
        settings: biases that grades declare.
    """
    made = templates(rubric, np.random.default_rng([seed, 0]))
    rows = {}
    for name in worlds:
        rng = np.random.default_rng([seed, 1 + list(WORLDS).index(name)])
        found = declared(portfolios(WORLDS[name], repetitions, made, rubric, rng), settings)
        rows[name] = [
            asdict(row) | _planted(found, row.grade) for row in by_grade(found, settings.level) if row.grade
        ]  # a finding of grade 0 declares no bias that could be held against anything: its interval is the whole line
    return rows


def declared(drawn: Drawn, settings: Synthesis) -> Drawn:
    """With the biases that the computed grades declare."""
    return replace(drawn, bias_sd=bias_sd(drawn.grade, settings))


def _planted(drawn: Drawn, grade: int) -> dict[str, float]:
    """The bias that was planted, beside the declared one."""
    mine = drawn.grade == grade
    planted = float(np.sqrt(np.mean(np.square(drawn.true_bias_sd[mine]))))
    return {"planted_bias_sd": planted, "declared_bias_sd": float(drawn.bias_sd[mine][0])}


def _template(name: str, design: int, rubric: Rubric, rng: np.random.Generator) -> Template:
    method, design_class = DESIGNS[design]
    std_error = float(rng.choice(STD_ERRORS))
    states = {rule.check: _state(rng) for rule in rubric.rules_of(method, design_class)}
    checks = [_check(rule, states[rule.check], std_error) for rule in _first_rules(rubric, method, design_class)]
    bad = any(
        states[rule.check] == "bad" for rule in rubric.rules_of(method, design_class) if rule.domain == COMPARABILITY
    )
    return Template(
        record=record.parse(_plain(name, method, design_class, checks, std_error)),
        bias=BIASES[min(design + bad, len(BIASES) - 1)],
        std_error=std_error,
    )


def _state(rng: np.random.Generator) -> str:
    return str(rng.choice(["good", "middling", "bad", "unknown"], p=[GOOD, MIDDLING, BAD, UNKNOWN]))


def _first_rules(rubric: Rubric, method: str, design_class: str) -> list[Rule]:
    """One rule a check: where several read one check, the first decides what was found."""
    rules: dict[str, Rule] = {}
    for rule in rubric.rules_of(method, design_class):
        rules.setdefault(rule.check, rule)
    return list(rules.values())


def _check(rule: Rule, state: str, std_error: float) -> dict[str, Any]:
    """What the check of a rule found; precision is what the standard error says, attrition not a question here."""
    if rule.check == "precision.mdes_sd":
        return {"check": rule.check, "value": MDES * std_error, "status": "measured"}
    if rule.measure == "wwc_attrition" or rule.check.startswith("precision."):
        return {"check": rule.check, "status": "not_applicable"}
    if state == "unknown":
        return {"check": rule.check, "status": "not_run"}
    place = {"good": 0, "middling": min(1, len(rule.bands) - 1), "bad": len(rule.bands) - 1}[state]
    return {"check": rule.check, "value": _inside(rule, place), "power": 1.0, "status": "measured"}


def _inside(rule: Rule, place: int) -> float:
    """A value of a band: its bound, or beyond the bound of the band before for the one that takes what is left."""
    band = rule.bands[place]
    bound = band.at_most if band.at_most is not None else band.at_least
    if bound is not None:
        return float(bound)
    before = rule.bands[place - 1]
    if before.at_most is not None:
        return float(before.at_most) * 1.5 + 0.01
    return float(before.at_least or 0.0) * 0.5


def _plain(
    name: str, method: str, design_class: str, checks: Sequence[dict[str, Any]], std_error: float
) -> dict[str, Any]:
    numbers = {"estimate": 0.0, "std_error": std_error, "outcome_sd": 1.0}
    return {
        "id": name.replace("_", "-"),
        "role": "benchmark",
        "method": method,
        "design_class": design_class,
        "source": {"kind": "estimated", "data": "simulated"},
        "plan": "confirmatory",
        "outcome": {"name": "y", "unit": "SD", "better": "higher", "smallest_effect": 0.1, "source": "administrative"},
        "headline": numbers,
        "effects": [{"term": "att", "outcome": "y", "role": "headline", "estimate": 0.0, "std_error": std_error}],
        "sample": {},
        "checks": list(checks),
        "simulated": True,
        "provenance": {"public": True},
    }
