"""What is missing for a better decision, in words: the conditions that the rules found unmet, each with its bound.

Nothing is guessed: the list comes from `rules.Ruling`, the numbers from the policy, and a solved threshold (the effect,
standard error or cost that would be enough) from `changes.needed`.
"""

from collections.abc import Mapping, Sequence

from evaluation.selection.changes import Needed
from evaluation.settings.policy import Selection
from evaluation.settings.typography import french

Pair = tuple[str, str]

NOTHING: Pair = (
    "Rien de ce qui est connu aujourd'hui n'y changerait quelque chose.",
    "Nothing that is known today would change it.",
)
_LINKS: Mapping[str, Pair] = {
    "effect": ("l'effet en écarts-types, avec sa marge d'erreur", "the effect in standard deviations, with its margin"),
    "transfer": (
        "un passage au territoire noté C ou mieux (non évalué, ou D)",
        "a transfer to the territory rated C or better (not assessed, or D)",
    ),
    "value": ("la valeur en euros d'un résultat, sans source", "the value of one outcome in euros, without a source"),
    "cost": ("le coût par personne en euros d'une même année", "the cost per person in euros of one year"),
}


def missing_links(links: Sequence[str]) -> Pair | None:
    """Why there is no net benefit; None if there is one."""
    if not links:
        return None
    fr, en = (", ".join(_LINKS[link][language] for link in links) for language in (0, 1))
    return french(
        f"Le bénéfice net n'est pas calculé ; il manque : {fr}."
    ), f"No net benefit is computed for want of: {en}."


def for_scale(unmet: Sequence[str], policy: Selection) -> Pair | None:
    """What GENERALISER would still take; None if nothing is missing."""
    told = [_condition(name, policy) for name in unmet if not name.startswith("read:")]
    if not told:
        return None
    fr, en = ("; ".join(each[language] for each in told) for language in (0, 1))
    return french(
        f"Pour GÉNÉRALISER, il faudrait aussi : {fr.replace('; ', ' ; ')}."
    ), f"To SCALE UP it would also take: {en}."


def solved(needs: Sequence[Needed], labels: Mapping[str, Pair]) -> tuple[Pair, ...]:
    """One line for each threshold that would be enough by itself."""
    return tuple(_solved(need, labels[need.verdict]) for need in needs)


def _solved(need: Needed, label: Pair) -> Pair:
    fr, en = _DIMENSIONS[need.what]
    return (
        french(f"{label[0]} : il suffirait {fr.format(value=_number(need, ','))}."),
        f"{label[1]}: {en.format(value=_number(need, '.'))} would be enough.",
    )


_DIMENSIONS: Mapping[str, Pair] = {
    "estimate": ("d'un effet de {value} écart-type", "an effect of {value} standard deviations"),
    "std_error": ("d'une erreur type de {value} écart-type", "a standard error of {value} standard deviations"),
    "unit_cost": ("d'un coût de {value} euros par personne", "a cost of EUR {value} per person"),
    "transfer": ("d'un passage au territoire noté {value}", "a transfer to the territory rated {value}"),
    "grade": ("d'un niveau de preuve de {value} sur 5", "evidence of grade {value} of 5"),
}


def _number(need: Needed, mark: str) -> str:
    if isinstance(need.value, str):
        return need.value
    if need.what == "grade":
        return f"{need.value:.0f}"
    text = f"{need.value:,.0f}" if need.what == "unit_cost" else f"{need.value:.2f}"
    return text.replace(",", " ") if need.what == "unit_cost" and mark == "," else text.replace(".", mark)


def _condition(name: str, policy: Selection) -> Pair:
    scale = policy.scale
    letters = " ou ".join("ABCD"[: "ABCD".index(scale.transfer) + 1])
    words: dict[str, Pair] = {
        "cost": ("un coût par personne", "a cost per person"),
        "grade": (
            f"un niveau de preuve d'au moins {scale.grade} sur 5",
            f"evidence of grade {scale.grade} of 5 or more",
        ),
        "programme": (
            f"un niveau d'au moins {scale.programme} sur 5 pour le programme, toutes études ensemble",
            f"a programme graded {scale.programme} of 5 or more over all its studies",
        ),
        "transfer": (
            f"un passage au territoire noté {letters}",
            f"a transfer to the territory rated {letters.replace(' ou ', ' or ')}",
        ),
        "p_positive": (
            f"une probabilité de bénéfice net d'au moins {_percent(scale.p_positive, ' %')}",
            f"a probability of a net benefit of {_percent(scale.p_positive, '%')} or more",
        ),
        "p_harm": (
            f"une probabilité d'effet défavorable d'au plus {_percent(scale.p_harm, ' %')}",
            f"a probability of harm of {_percent(scale.p_harm, '%')} or less",
        ),
        "sustained_months": (
            f"un effet encore là après {scale.sustained_months:.0f} mois",
            f"an effect that still holds after {scale.sustained_months:.0f} months",
        ),
        "cost_sites": (
            f"un coût observé dans {scale.cost_sites} lieux au moins",
            f"a cost observed at {scale.cost_sites} sites or more",
        ),
        "displacement": (
            "une mesure de ce que d'autres perdent quand certains gagnent",
            "a measure of what others lose when some gain",
        ),
        "capacity": (
            "un plan qui dit qui le mènerait à cette échelle",
            "a plan that says who would run it at this scale",
        ),
    }
    return words[name]


def _percent(share: float, sign: str) -> str:
    return f"{share * 100:.0f}{sign}"
