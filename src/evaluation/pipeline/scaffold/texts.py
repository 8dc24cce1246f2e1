"""What is written for a new innovation: entries of YAML files, the plan with its ethics, the card of the twin."""

import json
from typing import Any

from evaluation.pipeline.scaffold import twin
from evaluation.pipeline.scaffold.request import Request


def portfolio_entry(request: Request) -> str:
    """The entry of innovations.yaml, indented as a member of the list."""
    rows = {
        "difficulty": request.difficulty,
        "label_fr": request.label_fr,
        "label_en": request.label_en,
        "summary_fr": request.summary_fr,
        "summary_en": request.summary_en,
        "country": "France",
        "country_fr": "France",
        "in_france": True,
        **({"operator": request.operator} if request.operator else {}),
    }
    return "\n".join([f"  - id: {request.id}", *(f"    {key}: {_quoted(value)}" for key, value in rows.items())]) + "\n"


def design(request: Request) -> dict[str, Any]:
    """What stands under the id in params.yaml."""
    names = request.columns
    outcome = {
        "column": names.outcome,
        "role": "primary",
        "unit": request.unit,
        "better": request.better,
        "horizon_months": request.horizon_months,
        "smallest_effect": request.smallest_effect,
        "source": request.source,
    }
    return {
        "role": "decision",
        "innovation": request.id,
        "data": {"file": data_file(request), "public": True, "simulated": True},
        "method": request.method,
        "outcomes": [outcome],
        "unit": names.unit,
        **({"blinded": True} if request.blinded else {}),
        **_by_method(request),
    }


def _by_method(request: Request) -> dict[str, Any]:
    names = request.columns
    if request.method == "did":
        cohort = {"column": names.treatment, "never": [0]}
        return {
            "time": names.time,
            "cohort": cohort,
            "comparison": "never_treated",
            "estimator": "regression",
            "cluster": [names.unit],
        }
    own = {
        "experiment": {"adjustment": "lin" if names.covariates else "none"},
        "matching": {"distance": "propensity_logit", "estimand": "att"},
        "weighting": {"weights": "entropy_balancing", "estimand": "att"},
    }
    return {"treatment": names.treatment, "covariates": list(names.covariates), **own[request.method]}


def parameters_entry(request: Request) -> str:
    """The same as lines of params.yaml."""
    said = design(request)
    lines = [
        f"  {request.id}:",
        "    # SIMULATED until real data arrive: name their file, and take `simulated` out. Made-up data are public;",
        "    # real micro-data are not: take `public` out as well.",
    ]
    for key, value in said.items():
        if key == "outcomes":
            lines += ["    outcomes:", *(f"      - {_quoted(each)}" for each in value)]
        else:
            lines.append(f"    {key}: {_quoted(value)}")
    return "\n".join(lines) + "\n"


def data_file(request: Request) -> str:
    """Path of the twin, from the project root."""
    return f"data/raw/{request.id}/twin.csv"


def twin_card(request: Request) -> str:
    """What stands beside the twin."""
    return f"""# DONNÉES SIMULÉES / SIMULATED DATA: {request.id}

Personne n'a été observé : `twin.csv` est tiré au hasard par l'ordinateur (graine {twin.seed(request)}), avec un effet
planté de {twin.truth(request):g} ({request.unit}). Une bonne méthode doit le retrouver : son intervalle à 95 % le
contient dans 95 tirages sur 100. Remplacez ce fichier par vos données, puis enlevez `simulated: true` de params.yaml.

Nobody was observed: `twin.csv` was drawn by a computer (seed {twin.seed(request)}) with a planted effect of
{twin.truth(request):g} ({request.unit}). A good method finds it: its 95% interval holds it in 95 draws of 100. Put your
data in its place, then take `simulated: true` out of params.yaml.
"""


def plan(request: Request) -> str:
    """The stub of the plan, with its ethics; what only people can say is left open."""
    return "\n".join(
        [
            f"# {request.label_fr} / {request.label_en}: plan",
            "",
            "Les lignes « à remplir » sont à écrire avant d'ouvrir les données. / Write the lines 'to fill in' first.",
            "",
            *_section("Question / Question", _question(request)),
            *_section("Méthode / Method", {"Méthode / Method": request.method, "Comparaison / Comparison": ""}),
            *_section("Consentement / Consent", dict.fromkeys(_CONSENT, "")),
            *_section("Comité d'éthique / Ethics committee", dict.fromkeys(_COMMITTEE, "")),
            *_section("Analyse d'impact (AIPD) / Data-protection impact assessment", dict.fromkeys(_ASSESSMENT, "")),
            *_section("Coûts / Costs", request.notes.get("costs", dict.fromkeys(_COSTS, ""))),
            *_section("Mise en œuvre / Implementation", request.notes.get("implementation", dict.fromkeys(_DONE, ""))),
            "## Journal des effets néfastes / Harm log",
            "",
            "| date | ce qui est arrivé / what happened | gravité / severity | décision / decision |",
            "|---|---|---|---|",
            "| | | | |",
            "",
        ]
    )


_CONSENT = ("Qui informe, et comment / Who informs, and how", "Refuser sans perdre de droit / Refusing costs nothing")
_COMMITTEE = ("Comité, date, avis / Committee, date, opinion",)
_ASSESSMENT = (
    "Responsable du traitement / Controller",
    "Base légale / Legal basis",
    "Durée de conservation / Retention",
    "Risques et mesures / Risks and measures",
)
_COSTS = ("Coût par personne / Cost per person", "Source / Source")
_DONE = ("Ce qui doit être fait comme prévu / What must be done as planned", "Qui le vérifie / Who checks")


def _question(request: Request) -> dict[str, Any]:
    return {
        "Résultat principal / Primary outcome": f"{request.columns.outcome} ({request.unit})",
        "Mois après le début / Months after the start": f"{request.horizon_months:g}",
        "Plus petit effet utile / Smallest effect that matters": f"{request.smallest_effect:g}",
    }


def _section(title: str, rows: dict[str, Any]) -> list[str]:
    """A heading and one line a question."""
    lines = [f"- {name} : {'à remplir / to fill in' if value in ('', None) else value}" for name, value in rows.items()]
    return [f"## {title}", "", *lines, ""]


def _quoted(value: Any) -> str:
    """YAML of one line: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)
