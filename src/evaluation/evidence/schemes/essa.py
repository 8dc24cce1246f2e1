"""ESSA tiers of evidence (United States, Every Student Succeeds Act), from the What Works Clearinghouse's rating.

Source: https://ies.ed.gov/ncee/wwc/essa (ratings, significance, 350 people, two sites).
"""

from evaluation.evidence.schemes import what_works_clearinghouse as wwc
from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import CONTROLLED, FAVOURABLE, SYNTHESES, UNFAVOURABLE, Reading

PEOPLE, SITES = 350, 2
PAGE = "https://ies.ed.gov/ncee/wwc/essa"


def judge(reading: Reading) -> Ruling:
    """The tier of one finding."""
    if reading.design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-studies")
    if not reading.is_effect:
        return _rationale(reading)
    sign = reading.get("significance")
    if sign == FAVOURABLE:
        return _favourable(reading)
    if sign == UNFAVOURABLE or reading.get("precise_null"):
        return Ruling("none", "no-favourable-effect")
    return _rationale(reading)


def _favourable(reading: Reading) -> Ruling:
    rating = wwc.judge(reading).rating
    large = reading.get("sample.units") >= PEOPLE and reading.get("sample.sites") >= SITES
    if large and rating == wwc.WITHOUT:
        return Ruling("tier_1", "strong")
    if large and rating == wwc.WITH:
        return Ruling("tier_2", "moderate")
    if reading.design in CONTROLLED or (reading.design == "comparison_group" and reading.get("balance.adjusted") >= 1):
        return Ruling("tier_3", "promising")
    return _rationale(reading)


def _rationale(reading: Reading) -> Ruling:
    known = reading.get("programme.logic_model") >= 1
    return Ruling("tier_4", "rationale") if known else Ruling("none", "no-rationale")


SCHEME = Scheme(
    id="essa",
    fr="Paliers ESSA (États-Unis)",
    en="ESSA tiers (United States)",
    short="ESSA",
    publisher="United States Department of Education",
    address=PAGE,
    ratings=table(
        Rating(code="tier_1", rank=4, fr="palier 1, preuve forte", en="tier 1, strong evidence"),
        Rating(code="tier_2", rank=3, fr="palier 2, preuve moyenne", en="tier 2, moderate evidence"),
        Rating(code="tier_3", rank=2, fr="palier 3, prometteur", en="tier 3, promising evidence"),
        Rating(code="tier_4", rank=1, fr="palier 4, raisonné", en="tier 4, demonstrates a rationale"),
        Rating(code="none", rank=0, fr="aucun palier", en="no tier"),
    ),
    rules=table(
        SchemeRule(
            id="strong",
            kind="published",
            cite=PAGE,
            fr="conforme sans réserve au WWC, effet favorable, au moins 350 personnes et deux sites",
            en="meets WWC standards without reservations, favourable, at least 350 people and two sites",
        ),
        SchemeRule(
            id="moderate",
            kind="published",
            cite=PAGE,
            fr="conforme avec réserves au WWC, effet favorable, au moins 350 personnes et deux sites",
            en="meets WWC standards with reservations, favourable, at least 350 people and two sites",
        ),
        SchemeRule(
            id="promising",
            kind="published",
            cite=PAGE,
            fr="effet favorable avec correction des différences, sans remplir les conditions du palier 2",
            en="favourable with statistical controls, without what tier 2 asks for",
        ),
        SchemeRule(
            id="rationale",
            kind="published",
            cite=PAGE,
            fr="modèle logique et étude en cours",
            en="a logic model and a study under way",
        ),
        SchemeRule(
            id="no-rationale",
            kind="published",
            cite=PAGE,
            fr="ni effet favorable ni modèle logique avec une étude en cours",
            en="neither a favourable effect nor a logic model with a study under way",
        ),
        SchemeRule(
            id="no-favourable-effect",
            kind="recalled",
            cite="ESSA, overriding unfavourable findings",
            fr="l'étude montre un effet défavorable, ou précisément nul",
            en="the study shows an unfavourable effect, or precisely none",
        ),
        SchemeRule(
            id="single-studies",
            kind="published",
            cite=PAGE,
            fr="le barème note des études, pas des synthèses",
            en="the scheme rates studies, not syntheses",
        ),
    ),
    left_out_fr=(
        "Un effet défavorable d'une autre étude du même programme retirerait le palier : une fiche n'en voit qu'une."
    ),
    left_out_en=(
        "An unfavourable effect in another study of the programme would take the tier away: a record sees one study."
    ),
    judge=judge,
)
