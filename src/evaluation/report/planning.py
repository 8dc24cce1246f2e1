"""What a planned study can find, in sentences for whoever pays for it or runs it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.report import locale
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from evaluation.impact.power.planning import Answer

FEWEST_CLUSTERS: Final = 12  # six in each arm; with fewer no interval is given
_COLUMNS: Final = {
    "clusters": ("groupes", "groups"),
    "units": ("personnes", "people"),
    "std_error": ("erreur type", "standard error"),
    "mde": ("effet détecté", "effect found"),
    "power": ("puissance", "power"),
    "cost": ("coût", "cost"),
}


def in_words(answer: "Answer", lang: Lang) -> str:
    """The answer: a sentence that stands alone, what follows from it, other sizes, and what was assumed."""
    lines = [*_sentences(answer, lang), "", *_table(answer, lang), "", *_assumptions(answer, lang)]
    return "\n".join(locale.typography(line, lang) for line in lines)


def language(code: str) -> Lang:
    """The language that a command names.

    Raises:
        ParametersError: another one.
    """
    if code not in ("fr", "en"):
        raise ParametersError(
            code="E-CLI-011", what="This language is not known.", found=repr(code), expected="--lang fr or --lang en"
        )
    return "fr" if code == "fr" else "en"


def write_curve(answer: "Answer", target: Path, lang: Lang) -> None:
    """Write the power curve of an answer as SVG.

    Raises:
        ParametersError: the file's name does not end in .svg.
    """
    from evaluation.report import figures

    if target.suffix.lower() != ".svg":
        raise ParametersError(
            code="E-CLI-012", what="Figures are written as SVG.", found=target.name, expected="a name that ends in .svg"
        )
    outcome, found = answer.plan.outcome, answer.planned
    scale = 100 if outcome.share is not None else 1
    points = "points de pourcentage" if lang == "fr" else "percentage points"
    drawn = figures.power_curve(
        answer.curve.assign(mde=scale * answer.curve["mde"]),
        found.clusters or found.n,
        outcome.unit if outcome.share is None else points,
        lang,
        power=answer.plan.power,
        effect=None if answer.plan.effect is None else scale * abs(answer.plan.effect),
    )
    store.write_text(target, figures.svg(drawn))


def effect_in_words(answer: "Answer", value: float, lang: Lang) -> str:
    """An effect in the unit of the outcome: percentage points for a yes or a no."""
    outcome = answer.plan.outcome
    if outcome.share is not None:
        return locale.points(value, lang)
    unit = outcome.unit or ("écart-type" if lang == "fr" else "standard deviations")
    text = f"{locale.number(value, lang)}{locale.NBSP}{unit}"
    if outcome.unit and outcome.sd is not None:
        share = locale.number(value / outcome.sd, lang, digits=2)
        text += f" ({share} écart-type)" if lang == "fr" else f" ({share} standard deviations)"
    return text


def size_in_words(answer: "Answer", lang: Lang) -> str:
    """The size: '40 communes de 25 jeunes'."""
    found, names = answer.planned, answer.plan.names
    units = names.units or ("personnes" if lang == "fr" else "people")
    if found.clusters is None:
        return f"{locale.number(found.n, lang)} {units}"
    clusters = names.clusters or ("groupes" if lang == "fr" else "groups")
    size = locale.number(answer.cluster_size, lang, digits=1)
    joined = f"de {size} {units}" if lang == "fr" else f"of {size} {units}"
    if answer.plan.design in ("stepped_wedge", "difference"):
        joined += " par période" if lang == "fr" else " in each period"
    return f"{locale.number(found.clusters, lang)} {clusters} {joined}"


def out_of(power: float, lang: Lang) -> str:
    """A probability as a frequency: '8 fois sur 10', '41 times out of 100'."""
    tenths = round(10 * power)
    ten = abs(10 * power - tenths) < 1e-9
    count, base = (tenths, 10) if ten else (round(100 * power), 100)
    return f"{count} fois sur {base}" if lang == "fr" else f"{count} times out of {base}"


# sentences -----------------------------------------------------------------------------------------------------------


def _sentences(answer: "Answer", lang: Lang) -> Iterator[str]:
    found, plan = answer.planned, answer.plan
    size, often = size_in_words(answer, lang), out_of(plan.power, lang)
    smallest = effect_in_words(answer, found.mde, lang)
    looked_for_size = not (plan.clusters if plan.clustered else plan.units)
    if looked_for_size and plan.budget is None and plan.effect is not None:
        effect = effect_in_words(answer, abs(plan.effect), lang)
        yield _said(
            f"Pour détecter {often} un effet de {effect}, il faut {size}.",
            f"To detect an effect of {effect} {often}, {size} are needed.",
            lang,
        )
    else:
        yield _said(
            f"Avec {size}, l'effet le plus petit que l'on détecte {often} est de {smallest}.",
            f"With {size}, the smallest effect that is detected {often} is {smallest}.",
            lang,
        )
    yield from _consequences(answer, lang)
    if found.clusters is not None and found.clusters < FEWEST_CLUSTERS:
        yield _said(
            f"Attention : moins de {FEWEST_CLUSTERS} groupes, et l'analyse ne donnera ni intervalle ni valeur p.",
            f"Beware: with fewer than {FEWEST_CLUSTERS} groups the analysis gives no interval and no p-value.",
            lang,
        )


def _consequences(answer: "Answer", lang: Lang) -> Iterator[str]:
    plan, found = answer.plan, answer.planned
    if answer.power is not None and (plan.clusters or plan.units):
        effect = effect_in_words(answer, abs(plan.effect or 0.0), lang)
        often = out_of(round(answer.power, 2), lang)
        yield _said(f"Un effet de {effect} y est détecté {often}.", f"An effect of {effect} is detected {often}.", lang)
    if answer.study.take_up < 1:
        on_takers = effect_in_words(answer, answer.on_takers, lang)
        yield _said(
            f"C'est l'effet de la proposition. Sur ceux qu'elle fait participer, il faudrait un effet de {on_takers}.",
            f"This is the effect of the offer. On those whom it makes take part, it would have to be {on_takers}.",
            lang,
        )
    if found.cost is not None and plan.cost is not None:
        cost = locale.money(found.cost, plan.cost.currency, lang)
        yield _said(f"Une telle étude coûte {cost}.", f"Such a study costs {cost}.", lang)
    if answer.simulation is not None:
        drawn = answer.simulation
        effect, share = effect_in_words(answer, drawn.effect, lang), locale.percent(drawn.power, lang, digits=1)
        error = locale.points(2 * drawn.monte_carlo_error, lang, digits=1)
        yield _said(
            f"Vérifié : dans {drawn.repetitions} études tirées au sort et estimées comme la vraie le sera, un effet de "
            f"{effect} est détecté dans {share} des cas (à {error} près).",
            f"Checked: in {drawn.repetitions} studies drawn at random and estimated as the real one will be, an effect "
            f"of {effect} is detected in {share} of them (give or take {error}).",
            lang,
        )


def _table(answer: "Answer", lang: Lang) -> list[str]:
    columns = [column for column in _COLUMNS if column in answer.table]
    heads = [_said(*_COLUMNS[column], lang) for column in columns]
    rows = [[_cell(answer, column, row[column], lang) for column in columns] for _, row in answer.table.iterrows()]
    widths = [max(len(text) for text in texts) for texts in zip(heads, *rows, strict=True)]
    return ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in [heads, *rows]]


def _cell(answer: "Answer", column: str, value: Any, lang: Lang) -> str:
    if column in ("clusters", "units"):
        return locale.number(float(value), lang, digits=0)
    if column == "power":
        return locale.percent(float(value), lang, digits=0)
    if column == "cost" and answer.plan.cost is not None:
        return locale.money(float(value), answer.plan.cost.currency, lang)
    shown = float(value) * (100 if answer.plan.outcome.share is not None else 1)
    return locale.number(shown, lang, digits=2) if abs(shown) >= 0.1 else locale.number(shown, lang)


def _assumptions(answer: "Answer", lang: Lang) -> Iterator[str]:
    plan, study, colon = answer.plan, answer.study, _said(" : ", ": ", lang)
    level = locale.percent(study.level_of_one, lang)
    yield _said(f"Hypothèses : test bilatéral à {level} par critère ;", f"Assumed: two-sided test at {level};", lang)
    facts = [
        (plan.icc, "part de la variance entre groupes (ICC)", "share of the variance between groups (ICC)"),
        (plan.attrition or None, "perdus de vue", "lost to follow-up"),
        (plan.clusters_lost or None, "groupes perdus", "groups lost"),
        (plan.covariates.r2 or None, "variance expliquée (R²)", "variance explained (R²)"),
        (plan.covariates.r2_clusters or None, "variance entre groupes expliquée", "variance between groups explained"),
        (plan.cluster_size_cv or None, "coefficient de variation des tailles", "coefficient of variation of sizes"),
        (plan.correlation, "corrélation dans une paire", "correlation within a pair"),
        (plan.effective, "part efficace du groupe de comparaison", "effective share of the comparison group"),
    ]
    for value, french, english in facts:
        if value is not None:
            yield f"  {_said(french, english, lang)}{colon}{locale.number(value, lang, digits=3)}"
    freedom = locale.number(answer.planned.df, lang, digits=0)
    yield f"  {_said('degrés de liberté', 'degrees of freedom', lang)}{colon}{freedom}"


def _said(french: str, english: str, lang: Lang) -> str:
    return french if lang == "fr" else english
