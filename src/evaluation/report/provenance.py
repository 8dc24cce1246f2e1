"""Where the numbers of a page come from: hashes of data, code, packages and parameters, plans, and what is stale.

The hashes cover what dvc.yaml lists for the stage report, so that a page that DVC leaves alone is still right.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluation import store
from evaluation.report import locale
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from evaluation.evidence.record import Record
    from evaluation.report.inputs import Inputs, Row
    from evaluation.settings.params import Params

_STAGE: Final = "report"
_LOCK: Final = "requirements.lock"
_RUBRIC: Final = "rubric"
_NAMED: Final = 3  # stale results that a stamp names
_SHOWN: Final = 12  # digits of a hash that a page shows
_HASHES: Final = ("data", "code", "lock", "parameters")


def read(params: "Params", records: Sequence["Record"], grades: Mapping[str, Any]) -> dict[str, Any]:
    """What the pages are made from, as hashes, and what no longer fits together.

    Args:
        params: of the project, as it is now.
        records: that the pages show.
        grades: of the records, by id.

    Returns:
        `data`, `code`, `lock`, `parameters`: SHA-256, None where there is nothing to hash; `seeds`: numbers; `stale`:
        ids of records and sections of params.yaml that changed after the results were made.
    """
    deps, sections = _listed()
    lock = store.path(_LOCK)
    return {
        "data": _hash(name for name in deps if name.startswith("data/")),
        "code": _hash(name for name in deps if name.startswith("src/")),
        "lock": store.sha256_file(lock) if lock.is_file() else None,
        "parameters": _parameters(sections),
        "seeds": sorted({record.provenance.seed for record in records if record.provenance.seed is not None}),
        "stale": [*_older_parameters(params, records), *_older_rubric(params, grades)],
    }


def footer(inputs: "Inputs", lang: Lang, records: Sequence["Row"] = ()) -> list[str]:
    """Lines of the footer of a page or a document.

    Args:
        inputs: of the site.
        lang: language of the lines.
        records: that the page rests on; their plans are told.
    """
    t, found = texts(lang), inputs.provenance
    days = sorted(str(row["date"]) for row in inputs.decisions)
    rubrics = sorted({str(grade["rubric"]) for grade in inputs.grades.values()})
    none = t("site.none")
    lines = [
        t(
            "site.provenance",
            rubric=", ".join(rubrics) or none,
            policy=inputs.versions.get("selection") or none,
            date=locale.date(days[-1], lang) if days else none,
        )
    ]
    if found:
        lines.append(t("pdf.hashes", seeds=", ".join(map(str, found["seeds"])) or none, **_short(found, none)))
    plans = list(dict.fromkeys(t(f"pdf.plan_{record['plan']}") for record in records))
    return [*lines, *([t("pdf.plans", plans=", ".join(plans))] if plans else [])]


def stale(inputs: "Inputs", lang: Lang, records: Iterable["Row"]) -> str:
    """The sentence that marks a page whose results are older than what they are made from; '' where they are fresh.

    Args:
        inputs: of the site.
        lang: language of the sentence.
        records: that the page rests on; the rubric concerns every page.
    """
    own = {_RUBRIC, *(record["id"] for record in records)}
    names = [name for name in inputs.provenance.get("stale", ()) if name in own]
    more = [f"+{len(names) - _NAMED}"] if len(names) > _NAMED else []
    return texts(lang)("pdf.stale", names=", ".join([*names[:_NAMED], *more])) if names else ""


def _short(found: Mapping[str, Any], none: str) -> dict[str, str]:
    return {name: str(found[name])[:_SHOWN] if found[name] else none for name in _HASHES}


def _listed() -> tuple[list[str], list[str]]:
    """Dependencies and sections of params.yaml of the stage, as dvc.yaml lists them."""
    from evaluation.settings import yaml12

    stage = yaml12.read_yaml(store.path("dvc.yaml")).data["stages"][_STAGE]
    return list(stage["deps"]), list(stage["params"])


def _hash(names: Iterable[str]) -> str | None:
    files = [file for name in names for file in _files(store.path(name))]
    return store.sha256_files(files, base=store.root()) if files else None


def _files(place: Path) -> list[Path]:
    """The files that a dependency names, caches of Python left out."""
    found = [place] if place.is_file() else place.rglob("*")
    return [file for file in found if file.is_file() and "__pycache__" not in file.parts]


def _parameters(sections: Sequence[str]) -> str | None:
    from evaluation.settings import yaml12

    data = yaml12.read_yaml(store.path("params.yaml")).data
    return store.sha256_json({name: data[name] for name in sections if name in data})


def _older_parameters(params: "Params", records: Sequence["Record"]) -> list[str]:
    """Estimated records whose evaluation has other parameters now."""
    now = {design.id: store.sha256_json(design.parameters()) for design in params.evaluations.values()}
    return [
        record.id
        for record in records
        if record.id in now and record.provenance.parameters_sha256 not in (None, now[record.id])
    ]


def _older_rubric(params: "Params", grades: Mapping[str, Any]) -> list[str]:
    """The rubric, where grades were given under another version of it."""
    given = {str(grade["rubric"]) for grade in grades.values()}
    return [_RUBRIC] if params.rubric is not None and given - {str(params.rubric["version"])} else []
