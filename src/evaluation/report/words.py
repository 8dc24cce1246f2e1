"""Sentences generated from numbers, so that no reader is told more than a finding says.

The verb carries the certainty, the adverb the size, after GRADE guidelines 26 (Santesso et al., Journal of Clinical
Epidemiology 119, 2020): high "reduces", moderate "probably reduces", low "may reduce", very low "the data are very
uncertain". Certainty is our grade of the finding; size is measured in smallest effects worth having, with house
bounds: below 1 trivial, to 2 small, to 5 moderate, from 5 large.

Two house rules keep the verb modest: without an interval certainty is at most low, and an interval that holds "no
effect" is never a rise or a fall.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from evaluation.report import locale
from evaluation.report.locale import NBSP, Lang

Certainty = Literal["high", "moderate", "low", "very_low"]
Size = Literal["large", "moderate", "small", "trivial", "unknown"]
Conclusion = Literal["rise", "fall", "little", "undetected", "unknown"]
Valence = Literal["favourable", "unfavourable", "none", "unjudged", "unknown", "not_an_effect", "not_read"]

GRADE_LABELS: Final[Mapping[int, Mapping[Lang, str]]] = {
    5: {"fr": "expérimentale solide", "en": "strong experimental"},
    4: {"fr": "solide", "en": "strong"},
    3: {"fr": "plausible", "en": "plausible"},
    2: {"fr": "indicative", "en": "indicative"},
    1: {"fr": "descriptive", "en": "descriptive"},
    0: {"fr": "récit", "en": "account"},
}
_VALENCES: Final[Mapping[Lang, Mapping[Valence, str]]] = {
    "fr": {
        "favourable": "favorable",
        "unfavourable": "défavorable",
        "none": "pas d’effet détecté",
        "unjudged": "changement, ni bon ni mauvais en soi",
        "unknown": "effet inconnu",
        "not_an_effect": "ce n’est pas un effet",
        "not_read": "résultat non lu",
    },
    "en": {
        "favourable": "favourable",
        "unfavourable": "unfavourable",
        "none": "no effect detected",
        "unjudged": "a change, neither good nor bad in itself",
        "unknown": "effect unknown",
        "not_an_effect": "not an effect",
        "not_read": "result not read",
    },
}
_HEDGES: Final[Mapping[Lang, Mapping[Certainty, str]]] = {
    "fr": {
        "high": "{}",
        "moderate": "probablement {}",
        "low": "peut-être {}",
        "very_low": "{}, mais très incertain",
    },
    "en": {"high": "{}", "moderate": "probably {}", "low": "perhaps {}", "very_low": "{}, but very uncertain"},
}
_ADVERBS: Final[Mapping[Lang, Mapping[Size, str]]] = {
    "fr": {
        "large": "fortement ",
        "small": "un peu ",
        "moderate": "",
        "trivial": "",
        "unknown": "",
    },
    "en": {
        "large": " by a lot",
        "small": " slightly",
        "moderate": "",
        "trivial": "",
        "unknown": "",
    },
}
_CHANGES: Final[Mapping[Lang, Mapping[Certainty, Mapping[Conclusion, str]]]] = {
    "fr": {
        "high": {
            "rise": "L’innovation augmente {adverb}ce résultat",
            "fall": "L’innovation réduit {adverb}ce résultat",
            "little": "L’innovation ne change presque pas ce résultat",
        },
        "moderate": {
            "rise": "L’innovation augmente probablement {adverb}ce résultat",
            "fall": "L’innovation réduit probablement {adverb}ce résultat",
            "little": "L’innovation ne change probablement presque pas ce résultat",
        },
        "low": {
            "rise": "L’innovation pourrait augmenter {adverb}ce résultat",
            "fall": "L’innovation pourrait réduire {adverb}ce résultat",
            "little": "L’innovation pourrait ne presque rien changer à ce résultat",
        },
        "very_low": {
            "rise": "Les données sont très incertaines sur l’effet ; le chiffre lu va vers une hausse",
            "fall": "Les données sont très incertaines sur l’effet ; le chiffre lu va vers une baisse",
            "little": "Les données sont très incertaines sur l’effet ; le chiffre lu est proche de zéro",
        },
    },
    "en": {
        "high": {
            "rise": "The innovation increases this outcome{adverb}",
            "fall": "The innovation reduces this outcome{adverb}",
            "little": "The innovation makes little or no difference to this outcome",
        },
        "moderate": {
            "rise": "The innovation probably increases this outcome{adverb}",
            "fall": "The innovation probably reduces this outcome{adverb}",
            "little": "The innovation probably makes little or no difference to this outcome",
        },
        "low": {
            "rise": "The innovation may increase this outcome{adverb}",
            "fall": "The innovation may reduce this outcome{adverb}",
            "little": "The innovation may make little or no difference to this outcome",
        },
        "very_low": {
            "rise": "The data are very uncertain about the effect; the figure read points to a rise",
            "fall": "The data are very uncertain about the effect; the figure read points to a fall",
            "little": "The data are very uncertain about the effect; the figure read is close to zero",
        },
    },
}
_OTHERS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "fr": {
        "undetected": "L’étude ne détecte pas d’effet sur ce résultat, ce qui ne prouve pas qu’il n’y en a pas",
        "unknown": "L’effet sur ce résultat n’est pas connu",
        "not_read": "Une étude existe, mais son résultat n’a pas été lu : nous n’en rapportons aucun",
        "claim": "Chiffre déclaré, sans groupe de comparaison : ce n’est pas un effet",
        "take_up": "Part des personnes qui ont saisi l’offre : c’est un usage, pas un effet",
        "level": "Niveau observé : ce n’est pas un effet",
        "no_interval": "marge d’erreur non lue",
        "no_amount": "ampleur non lue",
    },
    "en": {
        "undetected": "The study detects no effect on this outcome, which does not prove that there is none",
        "unknown": "The effect on this outcome is not known",
        "not_read": "A study exists, but its result was not read: we report none",
        "claim": "A claimed figure, without a comparison group: this is not an effect",
        "take_up": "Share of people who took up the offer: this is use, not an effect",
        "level": "A level observed: this is not an effect",
        "no_interval": "margin of error not read",
        "no_amount": "size not read",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What one finding says, as far as words need it.

    Attributes:
        kind: effect, sign_only, claim, take_up, level or not_read.
        grade: 0 to 5.
        verdict: of the grade; only precise_null matters here.
        direction: sign of the effect on the outcome in its own unit, never flipped; none = no effect detected.
        better: which direction of the outcome is good, if either.
        estimate, ci_low, ci_high: in units of the outcome (shares 0 to 1, ratios around 1).
        unit_kind: share, percent_relative, sd, money, count, score, ratio, not_an_effect or none.
        unit: in the reader's language.
        comparison_mean: mean without the innovation.
        smallest_effect: smallest effect worth having, if somebody said.
        no_effect: value that means no effect: 0, or 1 for ratios.
    """

    kind: str
    grade: int
    verdict: str = "not_known"
    direction: str | None = None
    better: str | None = None
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    unit_kind: str = "none"
    unit: str = ""
    comparison_mean: float | None = None
    smallest_effect: float | None = None
    no_effect: float = 0.0

    @property
    def has_interval(self) -> bool:
        """Both ends of the interval are known."""
        return self.ci_low is not None and self.ci_high is not None


def certainty(grade: int) -> Certainty:
    """Translate the grade of a finding into GRADE's four levels of certainty."""
    levels: Mapping[int, Certainty] = {5: "high", 4: "moderate", 3: "low"}
    return levels.get(grade, "very_low")


def size(effect: float, smallest_effect: float | None) -> Size:
    """Translate an effect into a size word, in multiples of the smallest effect worth having."""
    if not smallest_effect:
        return "unknown"
    ratio = abs(effect) / abs(smallest_effect)
    if ratio < 1:
        return "trivial"
    if ratio < 2:
        return "small"
    return "moderate" if ratio < 5 else "large"


def conclusion(finding: Claimed) -> Conclusion:
    """Say what a finding concludes about the outcome: a rise, a fall, little, nothing detected, not known."""
    if finding.kind not in ("effect", "sign_only"):
        return "unknown"
    if finding.verdict == "precise_null":
        return "little"
    if _holds_no_effect(finding) or finding.direction == "none":
        return "undetected"
    signs: Mapping[str, Conclusion] = {"positive": "rise", "negative": "fall"}
    return signs.get(finding.direction or _sign(finding), "unknown")


def valence(finding: Claimed) -> Valence:
    """Say whether what a finding concludes is good news for the people concerned."""
    if finding.kind not in ("effect", "sign_only"):
        return "not_read" if finding.kind == "not_read" else "not_an_effect"
    found = conclusion(finding)
    if found in ("little", "undetected"):
        return "none"
    if found == "unknown":
        return "unknown"
    if finding.better is None:
        return "unjudged"
    return "favourable" if (found == "rise") == (finding.better == "higher") else "unfavourable"


def valence_label(finding: Claimed, lang: Lang) -> str:
    """Write the valence with its certainty: 'probablement favorable'."""
    found = valence(finding)
    label = _VALENCES[lang][found]
    if found not in ("favourable", "unfavourable"):
        return label
    return _HEDGES[lang][_certainty(finding)].format(label)


def sentence(finding: Claimed, lang: Lang) -> str:
    """Say in one sentence what is known about one outcome.

    Args:
        finding: the numbers.
        lang: language of the sentence.

    Returns:
        The certainty and direction, then the amount and its interval in natural units, then what was not read.
    """
    if finding.kind in ("claim", "take_up", "level", "not_read"):
        return locale.typography(_OTHERS[lang][finding.kind], lang) + "."
    lead = _lead(finding, lang)
    colon = f"{NBSP}:" if lang == "fr" else ":"
    if finding.kind == "sign_only" or finding.estimate is None:
        return f"{lead} ({_OTHERS[lang]['no_amount']})."
    return f"{lead}{colon} {_amount(finding, lang)}, {_margin(finding, lang)}."


def amount(finding: Claimed, lang: Lang) -> str:
    """Write the effect in natural units: '9 de plus sur 100 (35 au lieu de 26)', '27% less than the …'."""
    return _amount(finding, lang)


def span(finding: Claimed, lang: Lang) -> str:
    """Write the interval in the units of `amount`: 'de 2 à 16 de plus', 'from 3 fewer to 5 more'; '' if none."""
    return _span(finding, lang)


def unread(finding: Claimed, lang: Lang) -> str:
    """Say what was not read: the size of an effect, a result."""
    key = "no_amount" if finding.kind in ("effect", "sign_only") else finding.kind
    return locale.typography(_OTHERS[lang][key], lang)


def grade_label(grade: int, lang: Lang) -> str:
    """Write a grade: '3 sur 5, plausible'."""
    of = "sur" if lang == "fr" else "of"
    return f"{grade}{NBSP}{of}{NBSP}5, {GRADE_LABELS[grade][lang]}"


def headline(counts: Mapping[str, int], lang: Lang) -> str:
    """Say in one sentence what may be scaled up now.

    Args:
        counts: number of innovations by decision.
        lang: language of the sentence.
    """
    ready = sum(count for decision, count in counts.items() if decision in SCALING)
    if lang == "fr":
        if not ready:
            return "Rien n’est encore à généraliser"
        return "Une innovation peut être étendue" if ready == 1 else f"{ready} innovations peuvent être étendues"
    if not ready:
        return "Nothing is ready to be scaled up yet"
    return "One innovation can be extended" if ready == 1 else f"{ready} innovations can be extended"


SCALING: Final = frozenset({"GENERALISER", "ETENDRE_SOUS_EVALUATION"})


def _lead(finding: Claimed, lang: Lang) -> str:
    found = conclusion(finding)
    if found in ("undetected", "unknown"):
        return _OTHERS[lang][found]
    adverb = _ADVERBS[lang][_size(finding)]
    return locale.typography(_CHANGES[lang][_certainty(finding)][found], lang).format(adverb=adverb)


def _certainty(finding: Claimed) -> Certainty:
    """A number without a margin of error is never told as sure or probable."""
    level = certainty(finding.grade)
    if finding.kind == "effect" and not finding.has_interval and level in ("high", "moderate"):
        return "low"
    return level


def _size(finding: Claimed) -> Size:
    if finding.estimate is None:
        return "unknown"
    return size(finding.estimate - finding.no_effect, finding.smallest_effect)


def _sign(finding: Claimed) -> str:
    if finding.estimate is None or finding.estimate == finding.no_effect:
        return ""
    return "positive" if finding.estimate > finding.no_effect else "negative"


def _holds_no_effect(finding: Claimed) -> bool:
    if finding.ci_low is None or finding.ci_high is None:
        return False
    return finding.ci_low <= finding.no_effect <= finding.ci_high


def _margin(finding: Claimed, lang: Lang) -> str:
    if not finding.has_interval:
        return _OTHERS[lang]["no_interval"]
    head = f"intervalle à 95{NBSP}%" if lang == "fr" else "95% interval"
    return f"{head} {_span(finding, lang)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    """A change in the unit it is told in: 9 (of 100), 27 (%), 0.05 (standard deviations)."""

    value: float
    digits: int | None = None
    percent: bool = False

    def text(self, lang: Lang) -> str:
        """The quantity without its sign; 'more' or 'less' says that."""
        figure = locale.number(abs(self.value), lang, digits=self.digits)
        return locale.percent(abs(self.value) / 100, lang, digits=self.digits) if self.percent else figure


def _shown(finding: Claimed, value: float) -> _Quantity:
    if finding.unit_kind == "share":
        return _Quantity(value=100 * value, digits=1)
    if finding.unit_kind == "percent_relative":
        return _Quantity(value=value, digits=0, percent=True)
    if finding.unit_kind == "ratio":
        return _Quantity(value=100 * (value - finding.no_effect), digits=0, percent=True)
    return _Quantity(value=value, digits=2 if abs(value) < 10 else None)


def _amount(finding: Claimed, lang: Lang) -> str:
    if finding.estimate is None:
        return ""
    shown = _shown(finding, finding.estimate)
    quantity, more = shown.text(lang), _more(finding, shown.value, lang)
    if finding.unit_kind == "share":
        per = f"sur{NBSP}100" if lang == "fr" else f"in{NBSP}100"
        return f"{quantity} {more} {per}{_instead(finding, lang)}"
    if shown.percent:
        than = "que le groupe de comparaison" if lang == "fr" else "than the comparison group"
        return f"{quantity} {more} {than}"
    if finding.unit_kind == "sd":
        return f"{quantity}{NBSP}{_standard_deviations(shown.value, lang)} {more}"
    return f"{quantity} {more} ({finding.unit})" if finding.unit else f"{quantity} {more}"


def _standard_deviations(value: float, lang: Lang) -> str:
    if lang == "fr":
        return "écart-type" if abs(value) < 2 else "écarts-types"
    return "standard deviations"


def _more(finding: Claimed, value: float, lang: Lang) -> str:
    if lang == "fr":
        return "de plus" if value >= 0 else "de moins"
    if value >= 0:
        return "more"
    return "fewer" if finding.unit_kind in ("share", "count") else "less"


def _instead(finding: Claimed, lang: Lang) -> str:
    """Levels with and without the innovation, where the level without is known."""
    if finding.comparison_mean is None or finding.estimate is None:
        return ""
    without = locale.number(100 * finding.comparison_mean, lang, digits=1)
    with_it = locale.number(100 * (finding.comparison_mean + finding.estimate), lang, digits=1)
    return f" ({with_it} au lieu de {without})" if lang == "fr" else f" ({with_it} instead of {without})"


def _span(finding: Claimed, lang: Lang) -> str:
    """The two ends, the smaller change first, the word 'more' or 'less' once where both ends share it."""
    if finding.ci_low is None or finding.ci_high is None:
        return ""
    low, high = _shown(finding, finding.ci_low), _shown(finding, finding.ci_high)
    start, to = ("de", "à") if lang == "fr" else ("from", "to")
    last = _more(finding, high.value, lang)
    if (low.value < 0) != (high.value < 0):
        return f"{start} {low.text(lang)} {_more(finding, low.value, lang)} {to} {high.text(lang)} {last}"
    first, second = (high, low) if high.value < 0 else (low, high)
    return f"{start} {first.text(lang)} {to} {second.text(lang)} {last}"
