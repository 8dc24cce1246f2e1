"""The wording table: what a finding may be called, by certainty and size, in both languages."""

from dataclasses import replace

import pytest

from evaluation.report import words
from evaluation.report.words import Claimed

NBSP = "\u00a0"

# An effect of +0.09 on a share, with an interval that excludes zero; the smallest effect worth having varies.
EFFECT = Claimed(
    kind="effect",
    grade=5,
    verdict="positive",
    direction="positive",
    better="higher",
    estimate=0.09,
    ci_low=0.03,
    ci_high=0.15,
    unit_kind="share",
)
DETAILS_FR = f"9 de plus sur{NBSP}100, intervalle à 95{NBSP}% de 3 à 15 de plus."
DETAILS_EN = f"9 more in{NBSP}100, 95% interval from 3 to 15 more."

SIZES = [
    # smallest, 0.09 / smallest, French adverb, English adverb
    (0.01, "9 times: large", "fortement ", " by a lot"),
    (0.03, "3 times: moderate", "", ""),
    (0.06, "1.5 times: small", "un peu ", " slightly"),
    (0.10, "0.9 times: trivial", "", ""),
    (None, "nobody said: unknown", "", ""),
]
CERTAINTIES = [
    (5, "L’innovation augmente {}ce résultat", "The innovation increases this outcome{}"),
    (4, "L’innovation augmente probablement {}ce résultat", "The innovation probably increases this outcome{}"),
    (3, "L’innovation pourrait augmenter {}ce résultat", "The innovation may increase this outcome{}"),
]
UNDETECTED_FR = "L’étude ne détecte pas d’effet sur ce résultat, ce qui ne prouve pas qu’il n’y en a pas"
THAN_FR = "que le groupe de comparaison"
UNCERTAIN_FR = "Les données sont très incertaines sur l’effet\u202f; le chiffre lu va vers une hausse"
UNCERTAIN_EN = "The data are very uncertain about the effect; the figure read points to a rise"


@pytest.mark.parametrize(("smallest", "because", "adverb_fr", "adverb_en"), SIZES)
@pytest.mark.parametrize(("grade", "lead_fr", "lead_en"), CERTAINTIES)
def test_the_verb_follows_the_grade_and_the_adverb_the_size(
    grade: int, lead_fr: str, lead_en: str, smallest: float | None, because: str, adverb_fr: str, adverb_en: str
) -> None:
    finding = replace(EFFECT, grade=grade, smallest_effect=smallest)
    assert words.sentence(finding, "fr") == f"{lead_fr.format(adverb_fr)}{NBSP}: {DETAILS_FR}", because
    assert words.sentence(finding, "en") == f"{lead_en.format(adverb_en)}: {DETAILS_EN}", because


@pytest.mark.parametrize("grade", [0, 1, 2])
def test_below_grade_three_the_data_are_called_very_uncertain(grade: int) -> None:
    finding = replace(EFFECT, grade=grade)
    assert words.sentence(finding, "fr") == f"{UNCERTAIN_FR}{NBSP}: {DETAILS_FR}"
    assert words.sentence(finding, "en") == f"{UNCERTAIN_EN}: {DETAILS_EN}"


@pytest.mark.parametrize(
    ("grade", "french", "english"),
    [
        (5, "L’innovation réduit ce résultat", "The innovation reduces this outcome"),
        (4, "L’innovation réduit probablement ce résultat", "The innovation probably reduces this outcome"),
        (3, "L’innovation pourrait réduire ce résultat", "The innovation may reduce this outcome"),
    ],
)
def test_a_fall_is_told_as_a_fall_whatever_people_want(grade: int, french: str, english: str) -> None:
    finding = replace(EFFECT, grade=grade, direction="negative", estimate=-0.09, ci_low=-0.15, ci_high=-0.03)
    # The end closer to zero comes first, without a sign: 'moins' says it.
    assert words.sentence(finding, "fr") == (
        f"{french}{NBSP}: 9 de moins sur{NBSP}100, intervalle à 95{NBSP}% de 3 à 15 de moins."
    )
    assert words.sentence(finding, "en") == f"{english}: 9 fewer in{NBSP}100, 95% interval from 3 to 15 fewer."


@pytest.mark.parametrize(
    ("grade", "french", "english"),
    [
        (5, "L’innovation ne change presque pas ce résultat", "The innovation makes little or no difference"),
        (4, "L’innovation ne change probablement presque pas", "The innovation probably makes little or no difference"),
        (3, "L’innovation pourrait ne presque rien changer", "The innovation may make little or no difference"),
        (2, "Les données sont très incertaines", "The data are very uncertain"),
    ],
)
def test_a_precise_null_says_little_or_no_difference(grade: int, french: str, english: str) -> None:
    finding = replace(EFFECT, grade=grade, verdict="precise_null", estimate=0.001, ci_low=-0.01, ci_high=0.012)
    assert words.sentence(finding, "fr").startswith(french)
    assert words.sentence(finding, "en").startswith(english)


def test_an_interval_that_holds_no_effect_is_never_told_as_a_rise_or_a_fall() -> None:
    # The estimate is +0.09, the source says 'positive', but zero lies inside.
    finding = replace(EFFECT, ci_low=-0.02, ci_high=0.20)
    assert words.sentence(finding, "fr") == (
        f"{UNDETECTED_FR}{NBSP}: 9 de plus sur{NBSP}100, intervalle à 95{NBSP}% de 2 de moins à 20 de plus."
    )
    assert words.valence(finding) == "none"


def test_a_ratio_is_compared_with_one() -> None:
    # 0.62 is 38 % less than 1; the interval [0.48, 0.80] is 20 % to 52 % less; one lies outside.
    finding = replace(
        EFFECT, grade=3, direction=None, better="lower", estimate=0.62, ci_low=0.48, ci_high=0.80, unit_kind="ratio",
        no_effect=1.0,
    )  # fmt: skip
    assert words.sentence(finding, "fr") == (
        f"L’innovation pourrait réduire ce résultat{NBSP}: 38{NBSP}% de moins que le groupe de comparaison, "
        f"intervalle à 95{NBSP}% de 20{NBSP}% à 52{NBSP}% de moins."
    )
    assert words.valence(finding) == "favourable"


@pytest.mark.parametrize("grade", [5, 4])
def test_without_an_interval_certainty_is_at_most_low(grade: int) -> None:
    finding = replace(EFFECT, grade=grade, ci_low=None, ci_high=None, comparison_mean=0.26)
    # 26 + 9 = 35 of 100.
    assert words.sentence(finding, "fr") == (
        f"L’innovation pourrait augmenter ce résultat{NBSP}: 9 de plus sur{NBSP}100 (35 au lieu de 26), "
        "marge d’erreur non lue."
    )
    assert words.valence_label(finding, "fr") == "peut-être favorable"


@pytest.mark.parametrize(
    ("direction", "french", "label"),
    [
        ("positive", "L’innovation augmente probablement ce résultat (ampleur non lue).", "probablement favorable"),
        ("negative", "L’innovation réduit probablement ce résultat (ampleur non lue).", "probablement défavorable"),
        (
            "none",
            f"{UNDETECTED_FR} (ampleur non lue).",
            "pas d’effet détecté",
        ),
    ],
)
def test_a_sign_is_told_without_a_size(direction: str, french: str, label: str) -> None:
    finding = Claimed(kind="sign_only", grade=4, direction=direction, better="higher")
    assert words.sentence(finding, "fr") == french
    assert words.valence_label(finding, "fr") == label


@pytest.mark.parametrize(
    ("kind", "french", "english"),
    [
        ("claim", "Chiffre déclaré, sans groupe de comparaison", "A claimed figure, without a comparison group"),
        ("take_up", "Part des personnes qui ont saisi l’offre", "Share of people who took up the offer"),
        ("level", "Niveau observé", "A level observed"),
    ],
)
def test_a_claim_is_never_told_as_an_effect(kind: str, french: str, english: str) -> None:
    # Even if a number, a direction and a high grade slipped in.
    finding = replace(EFFECT, kind=kind)
    assert words.sentence(finding, "fr").startswith(french)
    assert words.sentence(finding, "en").startswith(english)
    assert "augmente" not in words.sentence(finding, "fr")
    assert words.valence(finding) == "not_an_effect"


def test_a_study_that_was_not_read_reports_nothing() -> None:
    finding = Claimed(kind="not_read", grade=0)
    assert words.sentence(finding, "fr") == (
        f"Une étude existe, mais son résultat n’a pas été lu{NBSP}: nous n’en rapportons aucun."
    )
    assert words.valence(finding) == "not_read"


@pytest.mark.parametrize(
    ("direction", "better", "expected"),
    [
        ("positive", "higher", "favourable"),
        ("negative", "lower", "favourable"),
        ("positive", "lower", "unfavourable"),
        ("negative", "higher", "unfavourable"),
        ("positive", None, "unjudged"),
        ("none", "higher", "none"),
        (None, "higher", "unknown"),
    ],
)
def test_what_is_good_news_depends_on_what_people_want(direction: str, better: str, expected: str) -> None:
    finding = Claimed(kind="sign_only", grade=3, direction=direction, better=better)
    assert words.valence(finding) == expected


@pytest.mark.parametrize(
    ("kind", "estimate", "unit", "french", "english"),
    [
        ("sd", 0.05, "", f"0,05{NBSP}écart-type de plus", f"0.05{NBSP}standard deviations more"),
        ("sd", -2.1, "", f"2,1{NBSP}écarts-types de moins", f"2.1{NBSP}standard deviations less"),
        ("percent_relative", -27.0, "%", f"27{NBSP}% de moins {THAN_FR}", "27% less than the comparison group"),
        ("money", 7011.0, "$", "7\u202f011 de plus ($)", "7,011 more ($)"),
        ("count", -0.7, "j", "0,7 de moins (j)", "0.7 fewer (j)"),
        ("share", 0.0028, "", f"0,3 de plus sur{NBSP}100", f"0.3 more in{NBSP}100"),
    ],
)  # fmt: skip
def test_amounts_are_in_natural_units(kind: str, estimate: float, unit: str, french: str, english: str) -> None:
    finding = Claimed(kind="effect", grade=3, estimate=estimate, unit_kind=kind, unit=unit)
    assert words.amount(finding, "fr") == french
    assert words.amount(finding, "en") == english


@pytest.mark.parametrize(
    ("grade", "french", "english"),
    [
        (5, "expérimentale solide", "strong experimental"),
        (4, "solide", "strong"),
        (3, "plausible", "plausible"),
        (2, "indicative", "indicative"),
        (1, "descriptive", "descriptive"),
        (0, "récit", "account"),
    ],
)
def test_each_grade_has_its_name(grade: int, french: str, english: str) -> None:
    assert words.grade_label(grade, "fr") == f"{grade}{NBSP}sur{NBSP}5, {french}"
    assert words.grade_label(grade, "en") == f"{grade}{NBSP}of{NBSP}5, {english}"


def test_the_headline_is_counted_not_written() -> None:
    today = {"EXPERIMENTER": 8, "DONNEES_INSUFFISANTES": 65, "REVOIR": 4}
    assert words.headline(today, "fr") == "Rien n’est encore à généraliser"
    assert words.headline(today, "en") == "Nothing is ready to be scaled up yet"
    assert words.headline({**today, "GENERALISER": 1}, "fr") == "Une innovation peut être étendue"
    both = {**today, "GENERALISER": 1, "ETENDRE_SOUS_EVALUATION": 2}
    assert words.headline(both, "fr") == "3 innovations peuvent être étendues"
