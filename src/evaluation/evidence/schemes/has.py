"""Haute Autorité de santé (France): levels of proof of the literature, and grades of recommendations.

Source: HAS, Niveau de preuve et gradation des recommandations de bonne pratique (2013).
"""

from evaluation.evidence.schemes.core import Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import CONTROLLED, RANDOMISED, Reading

CITE = "HAS, Niveau de preuve et gradation, 2013 (studylibfr.com/doc/5876205)"
POWERFUL = 0.20
BIASED_GAP, DIFFERENT_TRENDS = 0.25, 0.05


def judge(reading: Reading) -> Ruling:
    """The grade that one finding could carry."""
    if reading.design == "account":
        return Ruling("AE", "experts")
    if not reading.is_effect:
        return Ruling("C", "series")
    if reading.design == "meta_analysis_randomised":
        return Ruling("A", "synthesis")
    if reading.design == "meta_analysis":
        return Ruling("B", "comparative")
    if reading.design not in CONTROLLED:
        return Ruling("C", "series")
    if reading.design in RANDOMISED:
        return _trial(reading)
    return Ruling("C", "biased") if _biased(reading) else Ruling("B", "comparative")


def _trial(reading: Reading) -> Ruling:
    if reading.zone() == 2:
        return Ruling("C", "biased")
    powerful = reading.get("precision.mdes_sd") <= POWERFUL
    return Ruling("A", "powerful") if powerful else Ruling("B", "small-trial")


def _biased(reading: Reading) -> bool:
    if reading.design in ("event_study", "did", "matched_did"):
        return bool(reading.get("pretrend.joint_p") < DIFFERENT_TRENDS)
    return bool(reading.get("baseline.gap") > BIASED_GAP)


SCHEME = Scheme(
    id="has",
    fr="Grades de la Haute Autorité de santé (France)",
    en="Grades of the Haute Autorité de santé (France)",
    short="HAS",
    publisher="Haute Autorité de santé",
    address="https://www.has-sante.fr/jcms/c_1600564",
    ratings=table(
        Rating(code="A", rank=3, fr="A, preuve scientifique établie", en="A, established proof"),
        Rating(code="B", rank=2, fr="B, présomption scientifique", en="B, presumption"),
        Rating(code="C", rank=1, fr="C, faible niveau de preuve", en="C, low level of proof"),
        Rating(code="AE", rank=0, fr="AE, accord d'experts", en="AE, agreement of experts"),
    ),
    rules=table(
        SchemeRule(
            id="powerful",
            kind="ours",
            cite=f"{CITE}: niveau 1, 'forte puissance'; 0.20 standard deviations are ours",
            fr="essai tiré au sort de forte puissance (niveau 1)",
            en="a randomised trial of high power (level 1)",
        ),
        SchemeRule(
            id="synthesis",
            kind="published",
            cite=f"{CITE}: niveau 1",
            fr="synthèse d'essais tirés au sort (niveau 1)",
            en="a synthesis of randomised trials (level 1)",
        ),
        SchemeRule(
            id="small-trial",
            kind="ours",
            cite=f"{CITE}: niveau 2, 'faible puissance'; 0.20 standard deviations are ours",
            fr="essai tiré au sort de faible puissance (niveau 2)",
            en="a randomised trial of low power (level 2)",
        ),
        SchemeRule(
            id="comparative",
            kind="published",
            cite=f"{CITE}: niveau 2",
            fr="étude comparative sans tirage au sort, bien menée (niveau 2)",
            en="a well conducted comparison without random assignment (level 2)",
        ),
        SchemeRule(
            id="biased",
            kind="ours",
            cite=f"{CITE}: niveau 4, 'biais importants'; attrition boundaries, 0.25 and p 0.05 are ours",
            fr="étude comparative avec un biais important (niveau 4)",
            en="a comparison with a major bias (level 4)",
        ),
        SchemeRule(
            id="series",
            kind="published",
            cite=f"{CITE}: niveau 4",
            fr="série de cas, sans groupe de comparaison construit (niveau 4)",
            en="a series of cases, without a comparison group made for it (level 4)",
        ),
        SchemeRule(id="experts", kind="published", cite=CITE, fr="pas de données", en="no data"),
    ),
    left_out_fr=("La HAS gradue des recommandations d'après toute la littérature : une fiche n'en est qu'une étude."),
    left_out_en=("The HAS grades recommendations on the whole literature: a record is one study of it."),
    judge=judge,
)
