"""The questions of the workbook of a new innovation, one sheet a subject, with the help that stands beside each."""

from collections.abc import Mapping
from typing import Final

from evaluation.selection.intake_fields import Field, Kind, Options, Pair
from evaluation.settings.portfolio import Portfolio

DESIGN: Final[Mapping[str, str]] = {"costs": "Coûts", "implementation": "Mise en œuvre"}


def choices(portfolio: Portfolio) -> Options:
    """The lists that questions name."""
    return {
        "difficulties": {row.id: (row.label_fr, row.label_en) for row in portfolio.difficulties},
        "methods": {
            "experiment": ("tirage au sort", "draw by lot"),
            "did": ("évolutions comparées", "changes compared"),
            "matching": ("personnes appariées", "matched people"),
            "weighting": ("personnes pondérées", "weighted people"),
        },
        "directions": {"higher": ("plus, c'est mieux", "more is better"), "lower": ("moins, c'est mieux", "less is")},
        "sources": {
            "self-report": ("questionnaire", "self-report"),
            "administrative": ("registre administratif", "administrative"),
            "standardised test": ("test", "standardised test"),
            "measured": ("mesure", "measured"),
        },
        "yes_no": {"yes": ("oui", "yes"), "no": ("non", "no")},
    }


def _ask(
    key: str,
    label: Pair,
    help_: Pair,
    *,
    kind: Kind = "text",
    required: bool = True,
    options: str = "",
    least: float = 0.0,
    most: float = 200.0,
) -> Field:
    return Field(
        key=key, kind=kind, required=required, label=label, help=help_, options=options, least=least, most=most
    )


_ONE_WORD: Pair = (
    "Le nom exact de la colonne dans vos données, comme il est écrit.",
    "The exact name of the column in your data.",
)

SHEETS: Mapping[str, tuple[Field, ...]] = {
    "Innovation": (
        _ask(
            "id",
            ("Identifiant", "Id"),
            ("Des minuscules, des chiffres et des tirets : garage-itinerant.", "Lower case, digits, hyphens."),
            most=64,
        ),
        _ask(
            "difficulty",
            ("Quelle difficulté ?", "Which difficulty?"),
            ("Choisissez dans la liste.", "Choose from the list."),
            kind="choice",
            options="difficulties",
        ),
        _ask("label_fr", ("Nom", "Name in French"), ("Quelques mots.", "A few words."), most=120),
        _ask("label_en", ("Nom en anglais", "Name in English"), ("Quelques mots.", "A few words."), most=120),
        _ask(
            "summary_fr",
            ("Que fait-on, pour qui ?", "What is done, for whom? (in French)"),
            ("Une phrase.", "One sentence."),
            most=400,
        ),
        _ask(
            "summary_en",
            ("La même phrase en anglais", "The same sentence in English"),
            ("Une phrase.", "One sentence."),
            most=400,
        ),
        _ask(
            "operator",
            ("Qui la met en œuvre ?", "Who runs it?"),
            ("Une structure, jamais une personne.", "An organisation, never a person."),
            required=False,
            most=120,
        ),
    ),
    "Résultats": (
        _ask(
            "unit",
            ("Résultat principal : en quelle unité ?", "Primary outcome: in which unit?"),
            ("Exemples : points de 0 à 100 ; mois en emploi ; euros par an.", "Points, months in work, euros a year."),
            most=80,
        ),
        _ask(
            "better",
            ("Dans quel sens est-ce mieux ?", "Which direction is better?"),
            ("Choisissez dans la liste.", "Choose from the list."),
            kind="choice",
            options="directions",
        ),
        _ask(
            "horizon_months",
            ("Mesuré combien de mois après le début ?", "Measured how many months after the start?"),
            ("Un nombre de mois.", "A number of months."),
            kind="number",
            most=600,
        ),
        _ask(
            "smallest_effect",
            ("Plus petit effet qui vaudrait la peine", "Smallest effect that would be worth it"),
            ("Un nombre, dans l'unité du résultat.", "A number, in the unit of the outcome."),
            kind="number",
            least=0.0001,
            most=1_000_000,
        ),
        _ask(
            "source",
            ("Comment est-il mesuré ?", "How is it measured?"),
            ("Choisissez dans la liste.", "Choose from the list."),
            kind="choice",
            options="sources",
        ),
    ),
    "Colonnes": (
        _ask(
            "method",
            ("Comment compare-t-on ?", "How are people compared?"),
            ("Le tirage au sort est le plus sûr.", "A draw by lot is the surest."),
            kind="choice",
            options="methods",
        ),
        _ask("unit_column", ("Colonne qui désigne la personne", "Column of the person"), _ONE_WORD, most=60),
        _ask("outcome", ("Colonne du résultat", "Column of the outcome"), _ONE_WORD, most=60),
        _ask(
            "treatment",
            ("Colonne qui dit qui est aidé", "Column that says who is helped"),
            (
                "0 ou 1 ; pour les évolutions comparées, la première période aidée (0 = jamais).",
                "0 or 1; where changes are compared, the first period with help (0 = never).",
            ),
            most=60,
        ),
        _ask(
            "time",
            ("Colonne des périodes", "Column of periods"),
            ("Seulement pour les évolutions comparées.", "Only where changes are compared."),
            required=False,
            most=60,
        ),
        *(
            _ask(
                f"covariate_{place}",
                (f"Colonne mesurée avant, n° {place}", f"Column measured before, no {place}"),
                _ONE_WORD,
                required=False,
                most=60,
            )
            for place in (1, 2, 3)
        ),
        _ask(
            "blinded",
            ("Cacher les résultats jusqu'au dépôt du plan ?", "Hide outcomes until the plan is frozen?"),
            ("« Oui » : les résultats sont mélangés, personne ne les voit.", "'Yes': outcomes are permuted."),
            kind="choice",
            options="yes_no",
        ),
    ),
    "Coûts": (
        _ask(
            "cost",
            ("Coût pour une personne, en euros", "Cost for one person, in euros"),
            ("Un nombre. Laissez vide si vous ne savez pas.", "A number. Leave it empty if you do not know."),
            kind="number",
            required=False,
            most=1_000_000,
        ),
        _ask(
            "cost_source",
            ("D'où vient ce chiffre ?", "Where does this figure come from?"),
            ("Un budget, un rapport, une adresse de page.", "A budget, a report, the address of a page."),
            required=False,
        ),
    ),
    "Mise en œuvre": (
        _ask(
            "core",
            ("Ce qui doit être fait comme prévu", "What must be done as planned"),
            ("Ce sans quoi ce n'est plus la même innovation.", "Without which it is another innovation."),
            required=False,
            most=600,
        ),
        _ask(
            "checked_by",
            ("Qui vérifie, et comment ?", "Who checks, and how?"),
            ("Une structure, jamais une personne.", "An organisation, never a person."),
            required=False,
        ),
    ),
}
