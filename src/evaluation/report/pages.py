"""The site: every page in every language, written all at once or not at all.

Pages load nothing and hold no script, but for the one of what_if_page.py, which its page allows by hash; every value
that is not markup of our own passes through an autoescaping template.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.report import (
    behind,
    decision_views,
    difficulty_pages,
    diffusion_pages,
    downloads,
    finance_pages,
    gallery,
    innovation_views,
    locale,
    needs_pages,
    proofs,
    provenance,
    readers_pages,
    register_page,
    tables,
    territory_pages,
    views,
    what_if_page,
)
from evaluation.report import inputs as room
from evaluation.report.inputs import Inputs
from evaluation.report.locale import NBSP, Lang
from evaluation.report.pdf import documents, press
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
        "register": "registre.html",
        "gallery": "telechargements.html",
    },
    "en": {
        "home": "index.html",
        "needs": "needs.html",
        "portfolio": "innovations.html",
        "proofs": "proofs.html",
        "method": "method.html",
        "referrers": "referrers.html",
        "citizens": "citizens.html",
        "register": "register.html",
        "gallery": "downloads.html",
    },
}
FILES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "fr": {
        "portfolio": "innovations.csv",
        "coverage": "couverture.csv",
        "register": "registre.csv",
        "portfolio_tex": "innovations.tex",
        "coverage_tex": "couverture.tex",
        "register_tex": "registre.tex",
        **documents.FILES["fr"],
    },
    "en": {
        "portfolio": "innovations.csv",
        "coverage": "coverage.csv",
        "register": "register.csv",
        "portfolio_tex": "innovations.tex",
        "coverage_tex": "coverage.tex",
        "register_tex": "register.tex",
        **documents.FILES["en"],
    },
}
FOLDERS: Final[Mapping[str, str]] = {
    "innovation": "innovations",
    "territory": decision_views.FOLDER,
    "difficulty": difficulty_pages.FOLDER,
}
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
    chosen = require_languages(languages)
    with _rooted(root):
        return _write(_made(room.read(), chosen, internal=internal), chosen)


def _made(inputs: Inputs, languages: Sequence[Lang], *, internal: bool) -> dict[str, str | bytes]:
    """Every file of the site: documents and the other language are made behind, while the first one is made here."""
    room.require_publishable(inputs, internal=internal)
    much = len(inputs.decisions) >= behind.FEW
    others = [behind.one(_site_of, inputs, lang, languages, internal, much=much) for lang in languages[1:]]
    papers = printed(inputs, languages, internal=internal)
    site = {"index.html": _language_page(inputs, languages, internal=internal)}
    site |= _site_of(inputs, languages[0], languages, internal)
    for other in others:
        site |= other()
    return {**site, **dict(papers)}


def render(inputs: Inputs, languages: Sequence[Lang] = ("fr", "en"), *, internal: bool = False) -> dict[str, str]:
    """Render every file of the site.

    Returns:
        Text by path below reports/, 'index.html' first. The same inputs give the same bytes.
    """
    room.require_publishable(inputs, internal=internal)
    site = {"index.html": _language_page(inputs, languages, internal=internal)}
    for lang in languages:
        site |= _site_of(inputs, lang, languages, internal)
    return site


def _site_of(inputs: Inputs, lang: Lang, languages: Sequence[Lang], internal: bool) -> dict[str, str]:
    """All files of one language, by path below reports/; given to another process, which takes no keywords."""
    pages = _pages(inputs, lang, languages, internal=internal)
    return {f"{lang}/{name}": text for name, text in pages.items()}


def printed(
    inputs: Inputs, languages: Sequence[Lang] = ("fr", "en"), *, internal: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Make every PDF, unless params.yaml does without, and every picture of the site.

    Yields:
        Path below reports/, and the bytes; the same inputs give the same bytes.
    """
    room.require_publishable(inputs, internal=internal)
    planned = {
        f"{lang}/{name}": document
        for lang in languages
        for name, document in documents.plan(inputs, lang, _stamps(inputs, lang, internal=internal))
        if inputs.documents
    }
    pictures = {
        f"{lang}/{name}": picture for lang in languages for name, picture in gallery.pictures(inputs, lang).items()
    }
    return chain(zip(planned, behind.each(press.pdf, list(planned.values())), strict=True), pictures.items())


def _stamps(inputs: Inputs, lang: Lang, *, internal: bool) -> list[str]:
    """What stands on top of every document, as on every page."""
    t = texts(lang)
    marks = {"site.internal": internal, "site.simulated": inputs.simulated}
    told = [t(key) for key, holds in marks.items() if holds]
    late = provenance.stale(inputs, lang, inputs.records_for("decision"))
    return [*told, late] if late else told


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


def require_languages(languages: Sequence[str]) -> list[Lang]:
    """The languages asked for, each of which is known.

    Raises:
        ParametersError: one is not, or there is none.
    """
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
    drawn = gallery.pieces(inputs, lang)
    contents: dict[str, Any] = {
        "home": views.home(inputs, lang),
        "needs": views.needs(inputs, lang),
        "portfolio": views.portfolio(inputs, lang),
        "proofs": proofs.proofs(inputs, lang),
        "method": views.method(inputs, lang),
        "referrers": readers_pages.referrers(inputs, lang),
        "citizens": readers_pages.citizens(inputs, lang),
        "register": register_page.view(inputs, lang),
        "gallery": gallery.view(drawn),
    }
    site = {PAGES[lang][name]: page(name, view) for name, view in contents.items()}
    site |= {view["file"]: page(name, view) for name, view in needs_pages.views(inputs, lang).items()}
    if inputs.diffusion:
        view = diffusion_pages.view(inputs.diffusion, inputs.innovations, inputs.territories, lang)
        site[view["file"]] = page("diffusion", view)
    if inputs.finance and inputs.funnel:
        view = finance_pages.view(inputs, lang)
        site[view["file"]] = page("finance", view)
    if inputs.what_if:
        view = what_if_page.view(inputs, lang)
        site[view["file"]] = page("what_if", view)
    for decision in inputs.decisions:
        view = innovation_views.innovation(inputs, decision, lang)
        site[_below("innovation", view)] = page("innovation", view)
    for difficulty in inputs.difficulties:
        view = difficulty_pages.view(inputs, difficulty, lang)
        site[_below("difficulty", view)] = page("difficulty", view)
    for place in inputs.places:
        view = territory_pages.view(inputs, place, lang)
        site[_below("territory", view)] = page("territory", view)
    return site | gallery.texts_of(drawn, contents["gallery"], provenance.footer(inputs, lang)) | _tables(inputs, lang)


def _tables(inputs: Inputs, lang: Lang) -> dict[str, str]:
    """The tables of the site to take away: for spreadsheets, and for papers."""
    t, files = texts(lang), FILES[lang]
    frames = {
        "portfolio": downloads.portfolio_frame(inputs, lang),
        "coverage": downloads.coverage_frame(inputs, lang),
        "register": downloads.register_frame(inputs, lang),
    }
    note = " ".join(provenance.footer(inputs, lang))
    sheets = {files[name]: _BOM + tables.csv(frame) for name, frame in frames.items()}
    papers = {
        files[f"{name}_tex"]: tables.latex(
            downloads.for_paper(frame), caption=t(f"gallery.table_{name}"), lang=lang, note=note
        )
        for name, frame in frames.items()
    }
    return sheets | papers


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
        provenance=provenance.footer(inputs, lang, view.get("records", ())),
        stale=provenance.stale(inputs, lang, view.get("records") or inputs.records_for(_role(name))),
        places=bool(inputs.places),
        diffusion=diffusion_pages.FILES[lang] if inputs.diffusion else "",
        finance=finance_pages.FILES[lang] if inputs.finance and inputs.funnel else "",
        what_if=what_if_page.FILES[lang] if inputs.what_if else "",
        internal=internal,
        simulated=inputs.simulated or bool(view.get("simulated")),
        documents=inputs.documents,
        blinded=", ".join(inputs.blinded),
        participation=needs_pages.concerning(inputs, name, view, lang),
        style=_style(),
    )  # fmt: skip


def _role(name: str) -> str:
    """Whether a page speaks of decisions or proves methods."""
    return "benchmark" if name == "proofs" else "decision"


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
        lang=languages[0],
        doors=doors,
        internal=internal,
        simulated=inputs.simulated,
        blinded=", ".join(inputs.blinded),
        style=_style(),
    )  # fmt: skip


def fill(template: str, **values: Any) -> str:
    """Fill a template that is no page of the site, with the style of the site."""
    return _environment().get_template(template).render(**values, style=_style())


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


def _write(site: Mapping[str, str | bytes], languages: Sequence[Lang]) -> list[Path]:
    """Swap in each language folder when all of them are complete, then the door."""
    reports = store.path("reports")
    with ExitStack() as stack:
        folders = {lang: stack.enter_context(store.staged(reports / lang)) for lang in languages}
        for name, content in site.items():
            lang, _, below = name.partition("/")
            if below:
                store.write_bytes(folders[cast("Lang", lang)] / below, _bytes(content))
    store.write_bytes(reports / "index.html", _bytes(site["index.html"]))
    return [reports / name for name in site]


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content
