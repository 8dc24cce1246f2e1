"""Words and sentences of figures, in French and English."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import cut
from evaluation.report.locale import Lang

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "after": ("après ajustement", "after adjustment"),
    "after_start": (
        "périodes depuis le début (0 = première période avec)",
        "periods since the start (0 = first with)",
    ),
    "anticipation": ("anticipation possible", "possible anticipation"),
    "band": ("bande simultanée", "simultaneous band"),
    "baseline": ("repère", "baseline"),
    "before": ("avant ajustement", "before adjustment"),
    "cohort": ("début", "start"),
    "cohorts": ("entre parenthèses : nombre de cohortes", "in brackets: number of cohorts"),
    "effect": ("effet", "effect"),
    "first_with": ("première période avec", "first period with"),
    "full": ("avec tous", "with all"),
    "mean": ("moyenne", "mean"),
    "no_row": ("non observé", "not observed"),
    "not_identified": ("non identifié", "not identified"),
    "pair_distance": ("distance entre partenaires", "distance between partners"),
    "pairs": ("paires", "pairs"),
    "parallel": ("tendances\nparallèles", "parallel\ntrends"),
    "period": ("période", "period"),
    "post": ("après", "after"),
    "pre": ("avant", "before"),
    "reference": ("référence (0 par construction)", "reference (0 by construction)"),
    "reference_cell": ("réf.", "ref."),
    "relative_magnitudes": (
        "M̄ : écart admis, en multiple du plus grand écart avant",
        "M̄: departure allowed, times the largest one before",
    ),
    "score": ("score de propension", "propensity score"),
    "share_of_group": ("part du groupe", "share of the group"),
    "smd": ("écart standardisé (valeur absolue)", "standardised difference (absolute)"),
    "smoothness": ("M : coude admis d'une période à l'autre", "M: bend allowed from one period to the next"),
    "start_line": (
        "trait épais : début ; à droite, la période compte avec",
        "bold line: start; periods with to its right",
    ),
    "two_way": ("effets fixes doubles", "two-way fixed effects"),
    "unclear": (
        "hachuré : l'intervalle contient 0, ou n'est pas connu",
        "hatched: the interval holds 0, or is not known",
    ),
    "units": ("unités", "units"),
    "weight": ("poids dans l'estimation", "weight in the estimate"),
    "with": ("avec", "with"),
    "without": ("sans", "without"),
    "bandwidth": ("largeur de la fenêtre de part et d'autre du seuil", "bandwidth on each side of the threshold"),
    "side_left": ("sans", "without"),
    "side_right": ("avec", "with"),
    "threshold": ("seuil", "threshold"),
    "first_stage": ("traitement", "treatment"),
    "reduced_form": ("résultat", "outcome"),
    "per_instrument": ("par unité d'instrument", "per unit of the instrument"),
}
_GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "treated": ("avec", "with"),
    "comparison": ("comparaison", "comparison"),
    "never": ("jamais", "never"),
    "never treated": ("jamais traités", "never treated"),
    "treated_adjusted": ("avec, ajusté", "with, adjusted"),
    "comparison_adjusted": ("comparaison, ajustée", "comparison, adjusted"),
}
_ESTIMATORS: Final[Mapping[str, tuple[str, str]]] = {
    "augmented": ("contrôle synthétique augmenté", "augmented synthetic control"),
    "chosen": ("méthode choisie", "method chosen"),
    "covariate_balancing": ("score équilibrant les moyennes", "covariate-balancing score"),
    "did": ("doubles différences", "difference-in-differences"),
    "doubly_robust": ("doublement robuste", "doubly robust"),
    "entropy_balancing": ("équilibrage par entropie", "entropy balancing"),
    "experiment": ("expérience (tirage au sort)", "experiment (random assignment)"),
    "imputation": ("imputation", "imputation"),
    "inverse_probability": ("pondération par la probabilité inverse", "inverse probability weighting"),
    "matched": ("différences de différences appariées", "matched difference-in-differences"),
    "raw_difference": ("écart brut", "raw difference"),
    "regression": ("régression", "regression"),
    "sdid": ("doubles différences synthétiques", "synthetic difference-in-differences"),
    "stacked": ("comparaisons empilées", "stacked comparisons"),
    "sun_abraham": ("interactions par cohorte (Sun-Abraham)", "cohort interactions (Sun-Abraham)"),
    "synthetic_control": ("contrôle synthétique", "synthetic control"),
    "triple": ("triples différences", "triple differences"),
    "two_by_two": ("deux groupes, deux périodes", "two groups, two periods"),
    "two_way_fixed_effects": ("effets fixes doubles", "two-way fixed effects"),
}
_COMPARISONS: Final[Mapping[str, tuple[str, str]]] = {
    "treated_vs_never": ("traités et jamais traités", "treated and never treated"),
    "earlier_vs_later": ("premiers et pas encore traités", "earlier and not yet treated"),
    "later_vs_earlier": ("suivants et déjà traités", "later and already treated"),
    "treated_vs_always": ("traités et toujours traités", "treated and always treated"),
}
_LEFT_OUT: Final[Mapping[str, tuple[str, str]]] = {
    "cohort": ("sans la cohorte", "without cohort"),
    "cluster": ("sans la grappe", "without cluster"),
    "territory": ("sans le territoire", "without territory"),
    "unit": ("sans l'unité", "without unit"),
}


def word(key: str, lang: Lang) -> str:
    """A word of axes and legends."""
    return said(*_WORDS[key], lang)


def group_name(name: str, lang: Lang) -> str:
    """A group in words; one's own words stay."""
    return said(*_GROUPS.get(name, (name, name)), lang)


def estimator_name(name: str, lang: Lang) -> str:
    """An estimator in words; one's own words stay."""
    return said(*_ESTIMATORS.get(name, (name, name)), lang)


def comparison_name(kind: str, lang: Lang) -> str:
    """A kind of comparison of two groups in words; one's own words stay."""
    return said(*_COMPARISONS.get(kind, (kind, kind)), lang)


def left_out_name(kind: str, name: str, lang: Lang) -> str:
    """'sans la cohorte 2004', 'without cohort 2004'."""
    if kind == "cohort" and name in ("never", "never treated"):
        return said("sans les jamais traités", "without the never treated", lang)
    return f"{without(kind, lang)} {group_name(name, lang)}"


def without(kind: str, lang: Lang) -> str:
    """'sans la cohorte', 'without cohort'; of one's own kinds, 'sans'."""
    return said(*_LEFT_OUT.get(kind, _WORDS["without"]), lang)


def said(french: str, english: str, lang: Lang) -> str:
    """One of two texts, in the typography of its language."""
    return locale.typography(french if lang == "fr" else english, lang)


def axis(key: str, unit: str, lang: Lang) -> str:
    """Label of an axis with its unit; a long unit is cut, the text alternative has all of it."""
    return f"{word(key, lang)} ({cut(unit)})" if unit else word(key, lang)


def in_unit(unit: str, lang: Lang) -> str:
    """', en euros', ', in euros', or nothing."""
    return said(f", en {unit}", f", in {unit}", lang) if unit else ""


def interval_name(level: float, lang: Lang) -> str:
    """'intervalle à 95 %', '95% interval'."""
    share = locale.percent(level, lang)
    return f"intervalle à {share}" if lang == "fr" else f"{share} interval"


def value_of(row: Any, lang: Lang) -> str:
    """Estimate with its interval, where it has one."""
    text = locale.number(float(row.estimate), lang)
    if pd.isna(row.ci_low) or pd.isna(row.ci_high):
        return text
    return f"{text} ({locale.interval(float(row.ci_low), float(row.ci_high), lang)})"


def listed(items: Iterable[tuple[object, str]], lang: Lang) -> str:
    """'a : 1 ; b : 2.'."""
    between, after = (" ; ", " : ") if lang == "fr" else ("; ", ": ")
    return between.join(f"{name}{after}{text}" for name, text in items) + "."


def span(first: str, last: str, lang: Lang) -> str:
    """'de 4 à 7', 'from 4 to 7': first and last value of a series."""
    return f"de {first} à {last}" if lang == "fr" else f"from {first} to {last}"
