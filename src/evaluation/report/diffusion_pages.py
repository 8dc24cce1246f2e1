"""The page of diffusion: need and reach side by side, fans, forecasts checked, what massive treatment takes, plans.

Shown when data/diffusion/curves.json is there. A share that nobody could compute is said to be missing, and why.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from markupsafe import Markup, escape

from evaluation.report import cells, diffusion_tables, locale, tables
from evaluation.report.inputs import Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = dict[str, Any]
Results = Mapping[str, Any]

RESULTS: Final = ("curves", "validation", "treatment", "funnels", "lessons", "plans")
FILES: Final[Mapping[Lang, str]] = {"fr": "diffusion.html", "en": "diffusion.html"}


def view(results: Results, innovations: Sequence[Row], places: Mapping[str, Mapping[str, str]], lang: Lang) -> View:
    """The page.

    Args:
        results: name of RESULTS -> the content of data/diffusion/NAME.json.
        innovations: rows of the portfolio, for their labels.
        places: territory -> its name in each language.
        lang: of the page.
    """
    names = {row["id"]: said(row, "label", lang).text for row in innovations}
    sections = {
        "shares": [_shares(results["treatment"], names, lang)],
        "curves": [_drawn(series, results["treatment"], lang) for series in results["curves"]],
        "ceilings": [_ceilings(results["curves"], lang)],
        "checked": [_checked(results["validation"], results["curves"], lang), _narrow(results["validation"], lang)],
        "massive": [_scenarios(results["treatment"], names, lang), massive(results["treatment"], names, places, lang)],
        "funnels": [block for row in results["funnels"] for block in _funnel(row, names, lang)],
        "lessons": _lessons(results["lessons"], names, lang),
        "plans": [_plan(row, names, places, lang) for row in results["plans"]],
    }
    return {
        "file": FILES[lang],
        "elsewhere": FILES,
        "title": _word("title", "page", lang),
        "lede": _word("intro", "page", lang),
        "sections": [
            {"id": name, "title": _word("title", name, lang), "intro": _word("intro", name, lang), "blocks": blocks}
            for name, blocks in sections.items()
        ],
    }


# need and reach ------------------------------------------------------------------------------------------------------


def _shares(treatment: Sequence[Row], names: Mapping[str, str], lang: Lang) -> Markup:
    """Need, reach and the most that can be treated, in France; every number with its source."""
    rows = [
        {
            _word("part", "innovation", lang): names[row["innovation"]],
            _word("part", "need", lang): cells.figure(row["need"], lang),
            _word("part", "reach", lang): cells.figure(row["reach"], lang) if row["reach"] else None,
            _word("part", "at_most", lang): cells.share(row, lang),
            _word("part", "effective", lang): _effective(row["effective"], lang),
        }
        for row in treatment
        if row["territory"] == "france"
    ]
    return tables.html(tables.frame(rows), caption=_word("title", "shares", lang), lang=lang)


def _effective(found: Row, lang: Lang) -> str:
    if found["share"] is not None:
        return locale.percent(found["share"], lang)
    unknown = ", ".join(_word("factor", name, lang) for name in found["unknown"])
    return f"{_word('part', 'not_known', lang)} {unknown}" if unknown else _word("part", "no_reach", lang)


# curves --------------------------------------------------------------------------------------------------------------


def _drawn(series: Row, treatment: Sequence[Row], lang: Lang) -> View:
    from evaluation.report.figures.spread import fan_chart

    needs = [
        (said(row["need"], "label", lang).text, float(row["need"]["value"]))
        for row in treatment
        if _same_unit(row, series)
    ][:1]
    unit, caution = said(series, "unit", lang).text, said(series["ceiling"], "why", lang).text
    drawing = fan_chart(
        diffusion_tables.points(series),
        diffusion_tables.fan(series),
        diffusion_tables.curve(series),
        diffusion_tables.lines(series, lang, needs),
        unit,
        lang,
        caution=caution,
    )
    return _figure(drawing, _caption(series, lang))


def _same_unit(row: Row, series: Row) -> bool:
    """The need line belongs to the very series that the national reach was read from."""
    return (
        row["territory"] == "france"
        and bool(row["reach"])
        and row["reach"]["id"] in {point["id"] for point in series["points"]}
        and row["share_kind"] is not None
    )


def _caption(series: Row, lang: Lang) -> Markup:
    """What it is, the figures that were left out and why, and the sources."""
    left = [
        f"{point['year']} : {point['out_fr']}" if lang == "fr" else f"{point['year']}: {point['out_en']}"
        for point in series["points"]
        if point["out_fr"]
    ]
    known = dict.fromkeys(address for point in series["points"] for address in point["source"].split(" ; ") if address)
    links = Markup(", ").join(cells.link(each) for address in known for each in cells.addresses(address))
    parts = [escape(said(series, "label", lang).text), *(escape(locale.typography(text, lang)) for text in left)]
    line = Markup(" · ").join(parts)
    return Markup("{} · {} {}").format(line, _word("part", "sources", lang), links)


def _ceilings(curves: Sequence[Row], lang: Lang) -> Markup:
    rows = [
        {
            _word("part", "series", lang): row["series"],
            _word("part", "figures", lang): row["figures"],
            _word("part", "ceiling", lang): row["estimate"] if row["identified"] else None,
            _word("part", "interval", lang): _interval(row, lang),
            _word("part", "identified", lang): _word("part", "yes", lang)
            if row["identified"]
            else locale.typography(row["why"], lang),
            _word("part", "potential", lang): row["potential"],
        }
        for row in diffusion_tables.ceilings(curves, lang).astype(object).to_dict("records")
    ]
    return tables.html(tables.frame(rows), caption=_word("title", "ceilings", lang), lang=lang)


def _interval(row: Mapping[Any, Any], lang: Lang) -> str | None:
    low, high = (_number(row[name], lang) for name in ("low", "high"))
    if low is None:
        return None
    return f"{low} – {high}" if high else f"{low} – {_word('part', 'no_end', lang)}"


def _checked(validation: Row, curves: Sequence[Row], lang: Lang) -> Markup:
    """Mean errors in percent, and the winner, for each series and in all."""
    labels = {row["id"]: said(row, "label", lang).text for row in curves} | {"all": _word("part", "all", lang)}
    rows = [
        {
            _word("part", "series", lang): labels[name],
            _word("part", "predicted", lang): found["figures"],
            **{_word("part", each, lang): locale.percent(found["errors"][each], lang, digits=0) for each in _FORECASTS},
            _word("part", "inside", lang): f"{found['inside']} / {found['figures']}",
            _word("part", "winner", lang): _word("part", found["winner"], lang),
        }
        for name, found in {**validation["series"], "all": validation["all"]}.items()
        if found["figures"]
    ]
    return tables.html(tables.frame(rows), caption=_word("title", "checked", lang), lang=lang)


def _narrow(validation: Row, lang: Lang) -> Markup:
    """How many figures fall inside, with and without what the curves miss, and a warning where they are too few.

    Too few: as few or fewer would come one time in ten or more rarely if fans held what they promise.
    """
    from scipy.stats import binom

    found, level = validation["all"], validation["level"]
    if not found["figures"]:
        return Markup("")
    values = {
        "inside": found["inside"],
        "alone": found["inside_alone"],
        "figures": found["figures"],
        "level": locale.percent(level, lang),
    }
    told = [_word("part", "drift", lang, **values)]
    if binom.cdf(found["inside"], found["figures"], level) < _RARE:
        told.append(_word("part", "narrow", lang, **values))
    return Markup("").join(Markup("<p>{}</p>").format(line) for line in told)


_RARE: Final = 0.10
_FORECASTS: Final = ("curves", "no_change", "last_growth")


# treatment -----------------------------------------------------------------------------------------------------------


def _scenarios(treatment: Sequence[Row], names: Mapping[str, str], lang: Lang) -> Markup:
    rows = [
        {
            _word("part", "innovation", lang): names[row["innovation"]],
            _word("part", "scenario", lang): _word("scenario", each["name"], lang),
            _word("part", "units", lang): _number(each["units"], lang),
            **{_half(share, lang): _years(years, lang) for share, years in each["milestones"].items()},
            _word("part", "held_by", lang): _word("part", each["binding"], lang),
        }
        for row in treatment
        for each in row["scenarios"]
    ]
    return tables.html(tables.frame(rows), caption=_word("part", "scenarios", lang), lang=lang)


def massive(
    treatment: Sequence[Row], names: Mapping[str, str], places: Mapping[str, Mapping[str, str]], lang: Lang
) -> Markup:
    """What massive treatment takes, one row an innovation and place: people, times today, money, workers, what binds.

    Args:
        treatment: rows of data/diffusion/treatment.json.
        names: label of each innovation.
        places: territory -> its name in each language.
        lang: of the page.
    """
    rows = [
        {
            _word("part", "innovation", lang): names[row["innovation"]],
            _word("part", "place", lang): _place(row["territory"], places, lang),
            **_resources(row["massive"], lang),
        }
        for row in treatment
        if row["massive"]
    ]
    return (
        tables.html(tables.frame(rows), caption=_word("part", "massive_table", lang), lang=lang) if rows else Markup("")
    )


def _resources(found: Row, lang: Lang) -> dict[str, Any]:
    """People, times today, money, workers, what binds and what to collect."""
    synthetic = f" ({_word('part', 'synthetic', lang)})" if found["synthetic"] else ""
    money = locale.money(found["money"], found["currency"], lang) if found["money"] is not None else None
    workers = _number(found["workers"], lang)
    return {
        _word("part", "units", lang): f"{_number(found['units'], lang)}{synthetic}",
        _word("part", "times", lang): _number(found["times_now"], lang),
        _word("part", "money", lang): money,
        _word("part", "workers", lang): f"{workers} {found[f'worker_{lang}']}(s)" if workers else None,
        _word("part", "held_by", lang): _word("part", found["binding"], lang),
        _word("part", "collect", lang): ", ".join(_word("missing", name, lang) for name in found["unknown"]),
    }


def _funnel(row: Row, names: Mapping[str, str], lang: Lang) -> list[Any]:
    from evaluation.report.figures.spread import scale_funnel

    drawing = scale_funnel(diffusion_tables.funnel(row, lang), lang)
    return [
        _figure(drawing, escape(names[row["innovation"]])),
        _list(locale.typography(line, lang) for line in row[f"to_collect_{lang}"]),
    ]


# lessons and plans ---------------------------------------------------------------------------------------------------


def _lessons(data: Row, names: Mapping[str, str], lang: Lang) -> list[Any]:
    rows = [
        {
            _word("part", "feature", lang): _word("part", row["feature"], lang),
            _word("part", "value", lang): _word("code", row["value"], lang),
            _word("part", "cases", lang): len(row["cases"]),
            _word("part", "reached", lang): f"{row['reached']} / {row['scale_known']}",
            _word("part", "effect_known", lang): row["effect_known"],
        }
        for row in data["lessons"]
    ]
    table = tables.html(tables.frame(rows), caption=said(data, "caution", lang).text, lang=lang)
    return [table, _list(_case(case, names, lang) for case in data["cases"])]


def _case(case: Row, names: Mapping[str, str], lang: Lang) -> Markup:
    links = Markup(", ").join(cells.link(each) for each in cells.addresses(case["source_address"]))
    return Markup("<b>{}</b> – {} {}").format(names[case["innovation"]], said(case, "lesson", lang).text, links)


def _plan(row: Row, names: Mapping[str, str], places: Mapping[str, Mapping[str, str]], lang: Lang) -> Markup:
    """One plan as a description list, from its mode to the date of its review."""
    facts: dict[str, Iterable[Any]] = {
        "mode": [_word("mode", row["mode"], lang)],
        "operator": [said(row, "operator", lang).text],
        "stakeholders": [
            f"{_word('role', each['role'], lang)} – {said(each, 'who', lang)}" for each in row["stakeholders"]
        ],
        "calendar": [_phase(each, lang) for each in row["calendar"]],
        "bottleneck": [said(row, "bottleneck", lang).text],
        "resources": [_need_of(each, places, lang) for each in row["resources"]] or [_word("part", "no_need", lang)],
        "indicators": [_indicator(each, lang) for each in row["indicators"]],
        "review": [row["review_date"]],
    }
    items = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(_word("part", name, lang), _list(lines))
        for name, lines in facts.items()
    )
    return Markup('<h3>{}</h3><dl class="facts">{}</dl>').format(names[row["innovation"]], items)


def _phase(row: Row, lang: Lang) -> str:
    months = f"{row['from_month']}–{row['to_month']}"
    return f"{_word('part', 'months', lang)} {months} – {said(row, 'what', lang)}"


def _need_of(row: Row, places: Mapping[str, Mapping[str, str]], lang: Lang) -> str:
    parts = [f"{head} {value}" for head, value in _resources(row, lang).items() if value]
    told = " ; " if lang == "fr" else "; "
    return locale.typography(f"{_place(row['territory'], places, lang)} – {told.join(parts)}", lang)


def _indicator(row: Row, lang: Lang) -> str:
    return f"{said(row, 'label', lang)} ({_word('part', 'counted' if row['known'] else 'not_counted', lang)})"


# pieces --------------------------------------------------------------------------------------------------------------


def _word(group: str, key: str, lang: Lang, **values: object) -> str:
    """A word of messages/*.yaml, section diffusion."""
    return texts(lang)(f"diffusion.{group}_{key}", **values)


def _figure(figure: "Figure", caption: Markup) -> View:
    from evaluation.report.figures.drawing import svg

    return {"markup": Markup(svg(figure)), "caption": caption}  # noqa: S704 -- drawn by our own code, escaped there


def _list(lines: Iterable[Any]) -> Markup:
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(line) for line in lines))


def _number(value: Any, lang: Lang) -> str | None:
    return None if value is None or pd.isna(value) else locale.people(float(value), lang)


def _half(share: str, lang: Lang) -> str:
    return f"{locale.percent(float(share), lang)} {_word('part', 'after', lang)}"


def _years(years: float | None, lang: Lang) -> str:
    if years is None:
        return _word("part", "never", lang)
    return f"{locale.number(years, lang)} {_word('part', 'years', lang)}"


def _place(territory: str, places: Mapping[str, Mapping[str, str]], lang: Lang) -> str:
    return "France" if territory == "france" else Said(places[territory][lang]).text
