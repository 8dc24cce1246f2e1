"""What stands behind a decision: rules that nearly bound, what a roll-out would take, each territory, thresholds.

Every sentence is a text of messages/*.yaml filled in with data of the stage selection and the bounds of params.yaml.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, tables
from evaluation.report.inputs import Inputs, Row
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

FOLDER: Final = "territoires"
# Where the bounds of a rule stand in params.yaml, `selection:`; steps borrow the transfer of extensions.
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "stop-harm": ("stop",),
    "stop-value": ("stop",),
    "scale": ("scale",),
    "extend": ("extend",),
    "extend-in-steps": ("extend", "steps"),
    "test-value": ("test",),
    "revise-delivery": ("revise",),
    "revise-cost": ("revise",),
}
_UPSIDE_DOWN: Final = {("stop-value", "p_positive"), ("revise-cost", "p_positive"), ("stop-harm", "p_harm")}
_SHARES: Final = ("p_positive", "p_harm", "p_useful", "p_low", "p_high", "take_up", "fidelity")
_LETTERS: Final = "ABCD"


def near_rules(inputs: Inputs, decision: Row, lang: Lang) -> list[str]:
    """Rules that one condition alone kept from applying, with that condition."""
    t = texts(lang)
    pairs = [line.partition(": ")[::2] for line in decision.get("near_rules", ())]
    return [
        t("here.near", rule=t(f"rules.{rule}"), condition=condition(inputs, rule, name, lang)) for rule, name in pairs
    ]


def to_scale(inputs: Inputs, decision: Row, lang: Lang) -> list[str]:
    """Conditions of GENERALISER that are not met; the grade with what it is today."""
    t = texts(lang)
    lines = {name: condition(inputs, "scale", name, lang) for name in decision.get("to_scale", ())}
    if "grade" in lines and decision["best_grade"] is not None:
        lines["grade"] = t("here.today", condition=lines["grade"], grade=decision["best_grade"])
    return list(lines.values())


def condition(inputs: Inputs, rule: str, name: str, lang: Lang) -> str:
    """Write what a rule asks for: 'un niveau de preuve d’au moins 4 sur 5'.

    Args:
        inputs: of the site; its bounds are written into the text.
        rule: of selection/rules.py.
        name: of one of its conditions.
        lang: language of the text.
    """
    key = name.replace(":", "_").replace(" ", "_") + ("_reversed" if (rule, name) in _UPSIDE_DOWN else "")
    bounds = {
        bound: _bound(bound, value, lang)
        for section in _SECTIONS.get(rule, ())
        for bound, value in inputs.bounds.get(section, {}).items()
    }
    return texts(lang)(f"conditions.{key}", **bounds)


def _bound(name: str, value: Any, lang: Lang) -> str:
    if name == "transfer":
        return texts(lang)("here.or").join(_LETTERS[: _LETTERS.index(value) + 1])
    return locale.percent(value, lang) if name in _SHARES else locale.number(value, lang)


# territories ---------------------------------------------------------------------------------------------------------


def places(inputs: Inputs, rows: Sequence[Row], lang: Lang) -> Markup:
    """One row a test territory: decision, transfer, net benefit or what is not known, what alone would be enough."""
    t = texts(lang)
    lines = [
        {t("columns.territory"): place_link(inputs, row["territory"], lang, up="../"), **local_cells(row, lang)}
        for row in rows
    ]
    return tables.html(tables.frame(lines), caption=t("here.caption"), lang=lang) if lines else Markup("")


def local_cells(row: Row, lang: Lang) -> dict[str, Any]:
    """Cells of one innovation in one territory, by the header of their column."""
    t = texts(lang)
    return {
        t("columns.decision"): _tag(row["decision"], lang),
        t("here.transfer"): t(f"transfer.letter_{row['transfer']}") if row["transfer"] else t("here.not_assessed"),
        t("here.net"): net(row["value"], lang),
        t("here.enough"): cells.stack([Markup("{}").format(line) for line in enough(row, lang)]),
    }


def place_link(inputs: Inputs, territory: str, lang: Lang, *, up: str = "") -> Markup:
    """The name of a test territory, as a link to its page where it has one."""
    name = inputs.territories.get(territory, {}).get(lang, territory)
    if territory not in {row["id"] for row in inputs.places}:
        return Markup("{}").format(name)
    return Markup('<a href="{}{}/{}.html">{}</a>').format(up, FOLDER, territory, name)


def net(value: Row, lang: Lang) -> str:
    """The net benefit for one person with its interval and P(> 0), or the links of the chain that nobody knows."""
    t = texts(lang)
    if value["net"] is None:
        return t("here.no_net", links=missing_links(value["missing"], lang))
    low, mean, high = (locale.money(value[name], "EUR", lang) for name in ("net_low", "net", "net_high"))
    chance = locale.percent(value["p_positive"], lang, digits=0)
    return t("here.net_benefit", net=mean, low=low, high=high, chance=chance)


def missing_links(links: Sequence[str], lang: Lang) -> str:
    """The links of the value chain that nobody knows, in words."""
    t = texts(lang)
    return ", ".join(t(f"links.{link}") for link in links)


def enough(row: Row, lang: Lang) -> list[str]:
    """The smallest change, of one thing alone, that would lead to a better decision."""
    t = texts(lang)
    if row["needed"]:
        return [_needed(need, lang) for need in row["needed"]]
    return [t("here.not_solved") if row["value"]["missing"] else t("here.nothing_alone")]


def _needed(need: Row, lang: Lang) -> str:
    t = texts(lang)
    told = t(f"needed.{need['what']}", value=_threshold(need, lang))
    return t("here.would", decision=t(f"decisions.{need['verdict']}"), change=told)


def _threshold(need: Row, lang: Lang) -> str:
    if isinstance(need["value"], str):
        return need["value"]
    if need["what"] == "unit_cost":
        return locale.money(need["value"], "EUR", lang)
    return locale.number(need["value"], lang, digits=0 if need["what"] == "grade" else 2)


def _tag(decision: str, lang: Lang) -> Markup:
    return Markup('<span class="tag {}">{}</span>').format(decision, texts(lang)(f"decisions.{decision}"))


def recalled(rows: Sequence[Row], lang: Lang) -> list[str]:
    """Parameters recalled from memory behind the amounts shown; none where no amount is."""
    shown = [row for row in rows if row["value"]["net"] is not None]
    return list(dict.fromkeys(said_text for row in shown for said_text in row[f"recalled_{lang}"]))


# dials ---------------------------------------------------------------------------------------------------------------


def cost_of_outcome(inputs: Inputs, innovation_id: str, lang: Lang) -> str:
    """What one more outcome would cost at scale, or '' where nobody knows."""
    value = inputs.at_study(innovation_id)
    if not value or value["cost_per_outcome"] is None:
        return ""
    return texts(lang)("here.cost_per_outcome", cost=locale.money(value["cost_per_outcome"], "EUR", lang))
