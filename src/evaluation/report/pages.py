"""The site: every page in every language, written all at once or not at all.

Pages hold no script and load nothing; every value that is not markup of our own passes through an autoescaping
template.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.report import (
    decision_views,
    diffusion_pages,
    downloads,
    innovation_views,
    locale,
    needs_pages,
    proofs,
    readers_pages,
    tables,
    territory_pages,
    views,
)
from evaluation.report import inputs as room
from evaluation.report.inputs import Inputs
from evaluation.report.locale import NBSP, Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "fr": {
        "home": "index.html",
        "needs": "besoins.html",
        "portfolio": "innovations.html",
        "proofs": "preuves.html",
        "method": "methode.html",
        "referrers": "prescripteurs.html",
        "citizens": "citoyens.html",
    },
    "en": {
        "home": "index.html",
        "needs": "needs.html",
        "portfolio": "innovations.html",
        "proofs": "proofs.html",
        "method": "method.html",
        "referrers": "referrers.html",
        "citizens": "citizens.html",
    },
}
FILES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "fr": {"portfolio": "innovations.csv", "coverage": "couverture.csv"},
    "en": {"portfolio": "innovations.csv", "coverage": "coverage.csv"},
}
FOLDERS: Final[Mapping[str, str]] = {"innovation": "innovations", "territory": decision_views.FOLDER}
_BOM: Final = "\ufeff"  # without it a French spreadsheet reads the accents of a UTF-8 file wrongly


def build(root: Path | None = None, languages: Sequence[str] = ("fr", "en"), *, internal: bool = False) -> list[Path]:
    """Write the site under reports/.

    Args:
        root: project root; by default the one that `store.root` finds.
        languages: which languages, among fr and en; the first is the default of reports/index.html.
        internal: stamp every page 'internal use', and accept records of micro-data that are not public.

    Returns:
        The files written, reports/index.html first.

    Raises:
        ParametersError: a language is not known.
        DisclosureError, StaleError, InternalError: see `inputs.require_publishable`.
    """
    chosen = _require_languages(languages)
    with _rooted(root):
        inputs = room.read()
        return _write(render(inputs, chosen, internal=internal), chosen)


def render(inputs: Inputs, languages: Sequence[Lang] = ("fr", "en"), *, internal: bool = False) -> dict[str, str]:
    """Render every file of the site.

    Returns:
        Text by path below reports/, 'index.html' first. The same inputs give the same bytes.
    """
    room.require_publishable(inputs, internal=internal)
    site = {"index.html": _language_page(inputs, languages, internal=internal)}
    for lang in languages:
        pages = _pages(inputs, lang, languages, internal=internal)
        site |= {f"{lang}/{name}": text for name, text in pages.items()}
    return site


@contextmanager
def _rooted(root: Path | None) -> Iterator[None]:
    """Let every room find the project at `root` while the pages are made."""
    before = os.environ.get("EVALUATION_ROOT")
    if root is not None:
        os.environ["EVALUATION_ROOT"] = str(root)
    try:
        yield
    finally:
        if root is not None:
            _restore(before)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop("EVALUATION_ROOT", None)
    else:
        os.environ["EVALUATION_ROOT"] = before


def _require_languages(languages: Sequence[str]) -> list[Lang]:
    known = get_args(Lang)
    unknown = [lang for lang in languages if lang not in known]
    if unknown or not languages:
        raise ParametersError(
            code="E-REP-001",
            what="a language of the report is not known",
            where="params.yaml, languages",
            found=", ".join(unknown) or "no language",
            expected=", ".join(known),
            fix="choose among the languages above",
        )
    return [cast("Lang", lang) for lang in languages]


def _pages(inputs: Inputs, lang: Lang, languages: Sequence[Lang], *, internal: bool) -> dict[str, str]:
    """All files of one language."""
    page = partial(_page, inputs, lang, internal=internal, languages=languages)
    contents: dict[str, Any] = {
        "home": views.home(inputs, lang),
        "needs": views.needs(inputs, lang),
        "portfolio": views.portfolio(inputs, lang),
        "proofs": proofs.proofs(inputs, lang),
        "method": views.method(inputs, lang),
        "referrers": readers_pages.referrers(inputs, lang),
        "citizens": readers_pages.citizens(inputs, lang),
    }
    site = {PAGES[lang][name]: page(name, view) for name, view in contents.items()}
    site |= {view["file"]: page(name, view) for name, view in needs_pages.views(inputs, lang).items()}
    if inputs.diffusion:
        view = diffusion_pages.view(inputs.diffusion, inputs.innovations, inputs.territories, lang)
        site[view["file"]] = page("diffusion", view)
    for decision in inputs.decisions:
        view = innovation_views.innovation(inputs, decision, lang)
        site[_below("innovation", view)] = page("innovation", view)
    for place in inputs.places:
        view = territory_pages.view(inputs, place, lang)
        site[_below("territory", view)] = page("territory", view)
    site[FILES[lang]["portfolio"]] = _BOM + tables.csv(downloads.portfolio_frame(inputs, lang))
    site[FILES[lang]["coverage"]] = _BOM + tables.csv(downloads.coverage_frame(inputs, lang))
    return site


def _below(name: str, view: Mapping[str, Any]) -> str:
    """Where a page of its own folder stands, the same in every language."""
    return f"{FOLDERS[name]}/{store.require_slug(view['id'])}.html"


def _page(
    inputs: Inputs, lang: Lang, name: str, view: Mapping[str, Any], *, internal: bool, languages: Sequence[Lang]
) -> str:
    template = f"method.{lang}.html" if name == "method" else f"{name}.html"
    up = "../" if name in FOLDERS else ""
    return _environment().get_template(template).render(
        lang=lang,
        t=texts(lang),
        view=view,
        current=name,
        pages=PAGES[lang],
        files=FILES[lang],
        up=up,
        other=_other(lang, languages, name, view, up),
        colon=f"{NBSP}:" if lang == "fr" else ":",
        versions=_versions(inputs, lang),
        places=bool(inputs.places),
        diffusion=diffusion_pages.FILES[lang] if inputs.diffusion else "",
        internal=internal,
        simulated=inputs.simulated or bool(view.get("simulated")),
        participation=needs_pages.concerning(inputs, name, view, lang),
        style=_style(),
    )  # fmt: skip


def _other(lang: Lang, languages: Sequence[Lang], name: str, view: Mapping[str, Any], up: str) -> dict[str, str] | None:
    """The same page in the other language."""
    others = [code for code in languages if code != lang]
    if not others:
        return None
    if "elsewhere" in view:
        target = view["elsewhere"][others[0]]
    else:
        target = _below(name, view) if name in FOLDERS else PAGES[others[0]][name]
    return {"lang": others[0], "href": f"{up}../{others[0]}/{target}"}


def _language_page(inputs: Inputs, languages: Sequence[Lang], *, internal: bool) -> str:
    """The door: the headline in each language, and the way in."""
    doors = [{"lang": lang, "t": texts(lang), "view": views.home(inputs, lang)} for lang in languages]
    return _environment().get_template("language.html").render(
        lang=languages[0], doors=doors, internal=internal, simulated=inputs.simulated, style=_style()
    )  # fmt: skip


def _versions(inputs: Inputs, lang: Lang) -> dict[str, str]:
    days = sorted(str(row["date"]) for row in inputs.decisions)
    rubrics = sorted({str(grade["rubric"]) for grade in inputs.grades.values()})
    none = texts(lang)("site.none")
    return {
        "rubric": ", ".join(rubrics) or none,
        "selection": str(inputs.versions.get("selection") or none),
        "date": locale.date(days[-1], lang) if days else none,
    }


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("evaluation.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["french"] = _french
    return environment


def _french(markup: str) -> Any:
    """Set the spaces of French printing in prose that stands in a template; what it holds was escaped there."""
    from markupsafe import Markup

    return Markup(locale.typography(str(markup), "fr"))  # noqa: S704


@cache
def _style() -> Any:
    from markupsafe import Markup

    file = resources.files("evaluation.report") / "templates" / "style.css"
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 -- our own style sheet


def _write(site: Mapping[str, str], languages: Sequence[Lang]) -> list[Path]:
    """Swap in each language folder when all of them are complete, then the door."""
    reports = store.path("reports")
    with ExitStack() as stack:
        folders = {lang: stack.enter_context(store.staged(reports / lang)) for lang in languages}
        for name, text in site.items():
            lang, _, below = name.partition("/")
            if below:
                store.write_text(folders[cast("Lang", lang)] / below, text)
    store.write_text(reports / "index.html", site["index.html"])
    return [reports / name for name in site]
