"""What a decision says to the people who read it: short, in French and in English, computed from what is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evaluation.selection import wanting
from evaluation.selection.wanting import Pair
from evaluation.settings.typography import french

LABELS: dict[str, Pair] = {
    "GENERALISER": ("GÉNÉRALISER", "SCALE UP"),
    "ETENDRE_SOUS_EVALUATION": ("ÉTENDRE SOUS ÉVALUATION", "EXTEND UNDER EVALUATION"),
    "EXPERIMENTER": ("EXPÉRIMENTER", "TEST"),
    "REVOIR": ("REVOIR", "REVISE"),
    "NE_PAS_RETENIR": ("NE PAS RETENIR", "DO NOT SELECT"),
    "DONNEES_INSUFFISANTES": ("DONNÉES INSUFFISANTES", "INSUFFICIENT DATA"),
}
SCOPE_FR = "Cette décision porte sur un programme, jamais sur une personne."
SCOPE_EN = "This decision is about a programme, never about a person."

Tenor = Literal["favourable", "partly", "mixed", "unfavourable", "none", "undefined"]

_CURRENCIES = {"EUR": ("euros", "EUR"), "USD": ("dollars US", "USD"), "CAD": ("dollars canadiens", "CAD")}
_CITATION = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the sentences need.

    Attributes:
        grade: best grade among usable findings; None where none is usable.
        favour: what these findings say together.
        only_signs: no effect was read, only its sign.
        weak_signs: a sign was read in a study whose comparison group was not drawn by lot.
        caution: of the finding shown, in French and in English; empty if there is none.
        unread, recalled: citations of studies whose result was not read, or only recalled from memory.
        cost: per participant, in `currency`.
        locally_counted: the share covered is known in every test territory.
        wanted: what is missing for a roll-out, in both languages, computed by the rules.
        numbers: what the value chain says, in both languages; empty where it says nothing.
    """

    grade: int | None
    favour: Tenor
    only_signs: bool
    weak_signs: bool
    caution: Pair
    unread: tuple[str, ...]
    recalled: tuple[str, ...]
    cost: float | None
    currency: str | None
    in_france: bool
    family: bool
    locally_counted: bool
    wanted: tuple[Pair, ...] = ()
    numbers: Pair = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Reason and what would change it, in both languages."""

    reason_fr: str
    reason_en: str
    would_change_fr: tuple[str, ...]
    would_change_en: tuple[str, ...]


def told(rule: str, facts: Facts) -> Said:
    """The sentences for a binding rule.

    Args:
        rule: one of the rules of selection/rules.py.
        facts: what is known of the innovation.
    """
    reason_fr, reason_en = _REASONS[rule](facts)
    changes = _changes(rule, facts)
    return Said(
        reason_fr=french(reason_fr),
        reason_en=reason_en,
        would_change_fr=tuple(french(line) for line, _ in changes),
        would_change_en=tuple(line for _, line in changes),
    )


# reasons -------------------------------------------------------------------------------------------------------------


def _no_finding(_: Facts) -> Pair:
    return (
        "Aucune évaluation de ce programme n'a été trouvée : il est connu par sa diffusion, pas par ses effets.",
        "No evaluation of this programme was found: it is known by its spread, not by its effects.",
    )


def _no_comparison(facts: Facts) -> Pair:
    if facts.weak_signs:
        return (
            "Seul le sens de l'effet a été lu, dans une étude dont le groupe de comparaison n'est pas tiré au sort.",
            "Only the sign of the effect was read, in a study whose comparison group was not drawn by lot.",
        )
    if facts.unread:
        return (
            "Une étude avec groupe de comparaison existe, mais son résultat n'a pas été lu.",
            "A study with a comparison group exists, but its result was not read.",
        )
    if facts.recalled:
        return (
            "Le seul résultat connu est cité de mémoire : il n'a pas été vérifié.",
            "The only known result is recalled from memory: it was not checked.",
        )
    return (
        "Aucun effet mesuré avec un groupe de comparaison n'a été lu : on ignore ce qui serait arrivé sans programme.",
        "No effect measured with a comparison group was read: what would have happened without it is not known.",
    )


def _harm(facts: Facts) -> Pair:
    return (
        f"La meilleure preuve (niveau {facts.grade} sur 5) montre un effet défavorable : il faut comprendre pourquoi.",
        f"The best evidence (grade {facts.grade} of 5) shows an unfavourable effect: find out why first.",
    )


def _sign_not_favourable(facts: Facts) -> Pair:
    return (
        f"Un essai avec tirage au sort n'a détecté aucun effet favorable (niveau de preuve {facts.grade} sur 5).",
        f"A randomised trial detected no favourable effect (grade {facts.grade} of 5).",
    )


def _no_cost(facts: Facts) -> Pair:
    fr, en = _effect(facts)
    return f"{fr}. Mais le coût par personne n'est pas connu.", f"{en}. But the cost per person is not known."


def _test(facts: Facts) -> Pair:
    parts = [_effect(facts), _price(facts), _CAUSES_TO_TEST.get(facts.favour, _TO_SETTLE)]
    if any(facts.caution):
        parts.append((f"Attention – {_lowered(facts.caution[0])}", f"Caution – {_lowered(facts.caution[1])}"))
    if not facts.in_france:
        parts.append(_ABROAD)
    return _sentences(parts)


def _numbered(*said: Pair) -> Callable[[Facts], Pair]:
    """A reason that rests on the value chain: the effect, the numbers, what follows."""
    return lambda facts: _sentences([_effect(facts), facts.numbers, *said])


def _sentences(parts: list[Pair]) -> Pair:
    kept = [(fr.rstrip("."), en.rstrip(".")) for fr, en in parts if fr]
    return ". ".join(fr for fr, _ in kept) + ".", ". ".join(en for _, en in kept) + "."


_REASONS: dict[str, Callable[[Facts], Pair]] = {
    "no-finding": _no_finding,
    "no-comparison": _no_comparison,
    "sign-harm": _harm,
    "sign-not-favourable": _sign_not_favourable,
    "sign-no-cost": _no_cost,
    "test-sign": _test,
    "stop-harm": _numbered(
        (
            "Un effet défavorable est probable, et aucun test ne vaudrait ce qu'il coûte",
            "An unfavourable effect is probable, and no test would be worth its cost",
        )
    ),
    "harm": _harm,
    "no-cost": _no_cost,
    "stop-value": _numbered(
        (
            "Le programme coûterait plus qu'il n'apporte, et aucun test ne vaudrait ce qu'il coûte",
            "The programme would cost more than it brings, and no test would be worth its cost",
        )
    ),
    "scale": _numbered(
        ("Toutes les conditions d'une généralisation sont remplies", "Every condition of a roll-out is met")
    ),
    "extend": _numbered(
        (
            "Il peut être étendu par étapes tirées au sort, qui diront s'il faut continuer",
            "It can be extended in steps drawn by lot, which will tell whether to go on",
        )
    ),
    "extend-in-steps": _numbered(
        (
            "Aucun test à part ne vaudrait ce qu'il coûte : il peut être étendu par étapes, chacune suivie",
            "No separate test would be worth its cost: it can be extended in steps, each one watched",
        )
    ),
    "test-value": _numbered(
        ("Un test vaut plus que ce qu'il coûte", "A test is worth more than it costs"),
    ),
    "revise-delivery": _numbered(
        (
            "Trop peu de personnes viennent, ou trop peu de ce qui était prévu se fait : changer d'abord l'offre",
            "Too few people come, or too little of what was planned is done: the offer has to be changed first",
        )
    ),
    "revise-cost": _numbered(
        (
            "Le programme agit, mais il est trop cher pour ce qu'il apporte : il faut d'abord en réduire le coût",
            "The programme works, but it is too dear for what it brings: its cost has to be cut first",
        )
    ),
    "test-estimate": _test,
    "not-worth-testing": _numbered(
        (
            "Rien n'indique qu'un test vaudrait ce qu'il coûte",
            "Nothing suggests that a test would be worth its cost",
        )
    ),
}

_EFFECTS: dict[Tenor, Pair] = {
    "favourable": ("l'effet mesuré est favorable", "the measured effect is favourable"),
    "partly": (
        "l'effet est favorable pour certains résultats, et non détecté pour d'autres",
        "the effect is favourable for some outcomes, and not detected for others",
    ),
    "mixed": (
        "l'effet est favorable pour certains résultats, et défavorable pour d'autres",
        "the effect is favourable for some outcomes, and unfavourable for others",
    ),
    "unfavourable": ("l'effet mesuré est défavorable", "the measured effect is unfavourable"),
    "none": ("l'effet mesuré ne se distingue pas de zéro", "the measured effect cannot be told from zero"),
    "undefined": (
        "un effet a été mesuré, mais on ne sait pas s'il est souhaitable",
        "an effect was measured, but whether it is desirable is not settled",
    ),
}
_TO_SETTLE = (
    "Seul un test sur place, avec un groupe de comparaison, peut trancher",
    "Only a local test with a comparison group can settle it",
)
_CAUSES_TO_TEST: dict[Tenor, Pair] = {
    "favourable": (
        "Il reste à vérifier l'effet sur place, avec un groupe de comparaison",
        "The effect is still to be checked locally, with a comparison group",
    )
}
_ABROAD = (
    "Le programme n'existe pas en France, à notre connaissance : il faudrait d'abord l'adapter",
    "The programme does not exist in France, as far as we know: it would have to be adapted first",
)


def _effect(facts: Facts) -> Pair:
    fr, en = _EFFECTS[facts.favour]
    if facts.only_signs:
        head = (
            "On n'a lu que le sens de l'effet, dans un essai avec tirage au sort :",
            "Only the sign of the effect was read, in a randomised trial:",
        )
    else:
        head = ("Par rapport à un groupe de comparaison,", "Against a comparison group,")
    return f"{head[0]} {fr} (niveau de preuve {facts.grade} sur 5)", f"{head[1]} {en} (grade {facts.grade} of 5)"


def _price(facts: Facts) -> Pair:
    words = _CURRENCIES[facts.currency or "EUR"]
    digits = f"{facts.cost or 0:,.0f}"
    return (
        f"Le coût est connu : {digits.replace(',', ' ')} {words[0]} par personne",
        f"The cost is known: {words[1]} {digits} per person",
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


# what would change it ------------------------------------------------------------------------------------------------


def _changes(rule: str, facts: Facts) -> list[Pair]:
    """Missing items first, in the order of the rules; then what a test here would bring."""
    changes: list[Pair] = []
    if rule in ("no-finding", "no-comparison"):
        changes += _to_read(facts)
    if rule in ("harm", "sign-harm", "sign-not-favourable", "stop-harm"):
        changes.append(
            (
                "Une étude avec groupe de comparaison montrant un effet favorable, ou un programme modifié.",
                "A study with a comparison group showing a favourable effect, or a changed programme.",
            )
        )
    if facts.only_signs:
        changes.append(
            (
                "La taille de l'effet et sa marge d'erreur, à lire dans l'étude.",
                "The size of the effect and its margin of error, to be read in the study.",
            )
        )
    if facts.cost is None:
        changes.append(("Le coût par personne accompagnée.", "The cost per person supported."))
    if facts.family:
        changes.append(("Un programme précis à tester.", "One precise programme to test."))
    if rule.startswith("test-"):
        changes += _after_test(facts)
    return [*changes, *facts.wanted] or [wanting.NOTHING]


def _to_read(facts: Facts) -> list[Pair]:
    unread = [
        (f"Le résultat de l'étude : {_cut(each)}", f"The result of the study: {_cut(each)}") for each in facts.unread
    ]
    recalled = [
        (f"La vérification du nombre cité de mémoire : {_cut(each)}", f"A check of the recalled number: {_cut(each)}")
        for each in dict.fromkeys(facts.recalled)
    ]
    return [*unread, *recalled] or [
        (
            "Une évaluation avec un groupe de comparaison, au mieux par tirage au sort.",
            "An evaluation with a comparison group, at best by random assignment.",
        )
    ]


def _after_test(facts: Facts) -> list[Pair]:
    changes: list[Pair] = [
        (
            "Le résultat du test : un effet nul ou défavorable conduirait à ne pas poursuivre.",
            "The result of the test: no effect, or an unfavourable one, would lead to stopping.",
        )
    ]
    if not facts.locally_counted:
        changes.append(
            (
                "Le nombre de personnes concernées et de personnes déjà aidées dans chaque territoire.",
                "The number of people concerned, and already helped, in each territory.",
            )
        )
    return changes


def _cut(citation: str) -> str:
    return citation if len(citation) <= _CITATION else f"{citation[: _CITATION - 1].rstrip()}…"
