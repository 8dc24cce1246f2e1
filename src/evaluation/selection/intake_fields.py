"""The questions of the intake form: what is asked, how, and the help that stands beside each question.

The form is for people who are not evaluators: inhabitants and territories propose as well as organisations. It asks for
no personal data. Choices come from the portfolio, so that a filled form can be compared with what is known already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.settings.portfolio import Portfolio

Kind = Literal["text", "choice", "number"]
Pair = tuple[str, str]

SHEET, LISTS, VERSION = "Proposition", "Listes", "1"
OTHER, NONE = "other", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question.

    Attributes:
        key: in the YAML form, and in the hidden column of the workbook.
        label, help: (French, English).
        options: name of the list of choices.
        most: largest number, or most characters of a text; least: smallest number.
    """

    key: str
    kind: Kind
    required: bool
    label: Pair
    help: Pair
    options: str = ""
    least: float = 0.0
    most: float = 1500.0


FIELDS: tuple[Field, ...] = (
    Field(
        key="title",
        kind="text",
        required=True,
        most=120,
        label=("Comment s'appelle votre idée ?", "What is your idea called?"),
        help=("Quelques mots. Exemple : un garage solidaire itinérant.", "A few words. Example: a travelling garage."),
    ),
    Field(
        key="who",
        kind="choice",
        required=True,
        options="who",
        label=("Qui propose ?", "Who proposes?"),
        help=(
            "Choisissez dans la liste. Des habitants peuvent proposer.",
            "Choose from the list. Residents may propose.",
        ),
    ),
    Field(
        key="group",
        kind="text",
        required=False,
        most=120,
        label=("Nom du groupe ou de la structure", "Name of the group or organisation"),
        help=(
            "Jamais le nom d'une personne, ni adresse électronique, ni téléphone.",
            "Never the name of a person, no e-mail address, no telephone number.",
        ),
    ),
    Field(
        key="territory",
        kind="choice",
        required=True,
        options="territories",
        label=("Pour quel territoire ?", "For which territory?"),
        help=("Choisissez dans la liste.", "Choose from the list."),
    ),
    Field(
        key="difficulty",
        kind="choice",
        required=True,
        options="difficulties",
        label=("Quelle difficulté ?", "Which difficulty?"),
        help=(
            "Choisissez la plus proche. « Autre » est permis : votre idée sera gardée pour plus tard.",
            "Choose the closest. 'Other' is allowed: your idea is kept for later.",
        ),
    ),
    Field(
        key="problem",
        kind="text",
        required=True,
        label=("Que vivent les personnes aujourd'hui ?", "What do people live through today?"),
        help=("Deux ou trois phrases, avec vos mots.", "Two or three sentences, in your words."),
    ),
    Field(
        key="public",
        kind="choice",
        required=True,
        options="publics",
        label=("Pour qui ?", "For whom?"),
        help=("Choisissez le public le plus proche.", "Choose the closest public."),
    ),
    Field(
        key="mechanism",
        kind="text",
        required=True,
        label=("Que fait-on, et pourquoi cela aiderait ?", "What is done, and why would it help?"),
        help=(
            "Exemple : on prête une voiture le temps de l'essai, parce que l'embauche dépend du trajet.",
            "Example: a car is lent for the trial period, because the job depends on the journey.",
        ),
    ),
    Field(
        key="resembles",
        kind="choice",
        required=True,
        options="classes",
        label=("À quoi cela ressemble-t-il ?", "What does it resemble?"),
        help=(
            "Choisissez le programme connu le plus proche, ou « rien de connu ». Il sert de point de départ.",
            "Choose the closest known programme, or 'nothing known'. It serves as a starting point.",
        ),
    ),
    Field(
        key="reach",
        kind="number",
        required=True,
        least=1,
        most=10_000_000,
        label=("Combien de personnes par an ?", "How many people a year?"),
        help=("Un nombre. Une estimation suffit.", "A number. An estimate will do."),
    ),
    Field(
        key="cost",
        kind="number",
        required=False,
        most=1_000_000,
        label=("Combien coûte l'aide pour une personne, en euros ?", "What does it cost for one person, in euros?"),
        help=(
            "Un nombre. Laissez vide si vous ne savez pas : nous le chercherons avec vous.",
            "A number. Leave it empty if you do not know: we will look for it with you.",
        ),
    ),
    Field(
        key="evidence",
        kind="choice",
        required=True,
        options="evidence",
        label=("Que sait-on déjà de l'effet ?", "What is known of its effect?"),
        help=("Choisissez ce qui existe déjà. « Rien encore » est une bonne réponse.", "'Nothing yet' is fine."),
    ),
    Field(
        key="sources",
        kind="text",
        required=False,
        label=("Où peut-on le lire ?", "Where can it be read?"),
        help=(
            "Adresse d'une page ou titre d'un rapport, si vous en avez un.",
            "Address of a page or title of a report.",
        ),
    ),
)
BY_KEY: Mapping[str, Field] = {field.key: field for field in FIELDS}

Options = Mapping[str, Mapping[str, Pair]]
"""By list: id -> label (French, English)."""

_WHO: Mapping[str, Pair] = {
    "residents": ("des habitants", "residents"),
    "association": ("une association", "an association"),
    "territory": ("une commune, une intercommunalité, un département", "a commune, inter-municipality or department"),
    "public-service": ("un service public (école, mission locale, CCAS…)", "a public service (school, youth service…)"),
    "firm": ("une entreprise, dont l'économie sociale", "a firm, social economy included"),
    "researchers": ("des chercheurs", "researchers"),
    OTHER: ("autre", "other"),
}
_EVIDENCE: Mapping[str, Pair] = {
    NONE: ("rien encore", "nothing yet"),
    "told": ("des témoignages", "accounts of people"),
    "counted": ("on compte les personnes aidées", "people helped are counted"),
    "before-after": ("une mesure avant et après", "a measure before and after"),
    "comparison": ("une comparaison avec des personnes non aidées", "a comparison with people not helped"),
    "lottery": ("un tirage au sort", "a draw by lot"),
}


def options(portfolio: Portfolio) -> Options:
    """The lists of choices, from what the portfolio knows."""
    other: Mapping[str, Pair] = {OTHER: ("autre", "other")}
    names = {row.id: (row.label_fr, row.label_en) for row in portfolio.difficulties}
    publics = {
        f"{row.id}/{public.id}": (f"{row.label_fr} - {public.label_fr}", f"{row.label_en} - {public.label_en}")
        for row in portfolio.difficulties
        for public in row.publics
    }
    classes = {row.id: (row.label_fr, row.label_en) for row in portfolio.decision_innovations}
    places = {row.id: (row.label_fr, row.label_en) for row in portfolio.test_territories}
    return {
        "who": _WHO,
        "territories": {**places, "france": ("toute la France", "all of France"), **other},
        "difficulties": {**names, **other},
        "publics": {**publics, **other},
        "classes": {NONE: ("rien de connu", "nothing known"), **classes},
        "evidence": _EVIDENCE,
    }
