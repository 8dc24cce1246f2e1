"""Writing what a new innovation needs: nothing that is there is changed, what is added can be taken away again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation import settings, store
from evaluation.errors import ParametersError
from evaluation.pipeline.scaffold import texts, twin
from evaluation.pipeline.scaffold.request import Request
from evaluation.settings.designs import DESIGNS
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import nearest
from evaluation.settings.yaml12 import parse_yaml

PARAMS, INNOVATIONS = "params.yaml", "data/portfolio/innovations.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What would be written.

    Attributes:
        request: what was asked for.
        fresh: new files, by path from the project root.
        grown: files that are there, as they will be.
        added: what is added to each of them.
        written: whether it was.
    """

    request: Request
    fresh: Mapping[str, bytes]
    grown: Mapping[str, bytes]
    added: Mapping[str, str]
    written: bool = False

    def in_words(self) -> str:
        """For people, with the way back."""
        name, method = self.request.id, self.request.method
        lines = ["écrit / written:" if self.written else "serait écrit, rien ne l'est / would be written, nothing is:"]
        lines += [f"  {file} ({len(content):,} bytes)" for file, content in self.fresh.items()]
        for file, text in self.added.items():
            lines += [f"  {file}, + {text.count(chr(10))} lines:", *([] if self.written else [text.rstrip()])]
        lines += [
            "",
            f"DONNÉES SIMULÉES / SIMULATED DATA, effet planté / planted effect: {twin.truth(self.request):g}",
            f"ensuite / next: evaluation run {name}, then open reports/fr/index.html",
            f"carnet / notebook: notebooks/{method}.ipynb, executed in reports/notebooks/{name}.ipynb",
            f"pour annuler / to undo: take the entry {name} out of {' and of '.join(self.added)}, then delete",
            f"  data/raw/{name}, data/plans/{name}.md, data/processed/{name}, data/evidence/estimated/{name}",
        ]
        return "\n".join(lines)


def plan(request: Request) -> Scaffold:
    """Everything that a new innovation needs, checked against what is there; writes nothing.

    Raises:
        ParametersError: the id cannot be used, exists already, a file is in the way, or the difficulty is unknown.
        ProblemsError: what is there has problems already; they come first.
    """
    store.require_slug(request.id)
    params, portfolio = settings.check_all()
    _require_new(request.id, {*params.evaluations, *_known(portfolio)})
    _require_difficulty(request.difficulty, portfolio)
    _require_possible(request)
    frame = twin.made(request)
    fresh = {
        texts.data_file(request): frame.to_csv(index=False, lineterminator="\n").encode(),
        f"data/raw/{request.id}/README.md": texts.twin_card(request).encode(),
        f"data/plans/{request.id}.md": texts.plan(request).encode(),
    }
    for name in fresh:
        _require_free(name)
    added = {INNOVATIONS: texts.portfolio_entry(request), PARAMS: texts.parameters_entry(request)}
    grown = {
        INNOVATIONS: _grown(INNOVATIONS, added[INNOVATIONS], "innovations"),
        PARAMS: _grown(PARAMS, added[PARAMS], "evaluations"),
    }
    return Scaffold(request=request, fresh=fresh, grown=grown, added=added)


def write(made: Scaffold) -> Scaffold:
    """Write it: new files first, params.yaml last, so that whatever stops halfway leaves a project that runs."""
    for name, content in {**made.fresh, **made.grown}.items():
        store.write_bytes(store.path(*name.split("/")), content)
    return Scaffold(request=made.request, fresh=made.fresh, grown=made.grown, added=made.added, written=True)


def _known(portfolio: Portfolio) -> set[str]:
    return {row.id for row in portfolio.innovations} | {row.id for row in portfolio.findings}


def _require_new(identifier: str, known: set[str]) -> None:
    if identifier in known:
        raise ParametersError(
            code="E-CLI-051",
            what="Cet identifiant est déjà pris. / This id is taken.",
            found=repr(identifier),
            expected="an id that no innovation, finding or evaluation has",
            fix=f"choose another one, such as {identifier[:60]}-2",
        )


def _require_difficulty(difficulty: str, portfolio: Portfolio) -> None:
    known = [row.id for row in portfolio.difficulties]
    if difficulty not in known:
        near = nearest(difficulty, known)
        raise ParametersError(
            code="E-CLI-052",
            what="Cette difficulté n'est pas suivie ici. / This difficulty is not followed here.",
            where="data/portfolio/difficulties.yaml",
            found=repr(difficulty),
            expected=" | ".join(known),
            fix=f"did you mean {near}?" if near else "--difficulty with one of them",
        )


def _require_possible(request: Request) -> None:
    """The design as its own model reads it; what it refuses is told in the words of the model."""
    from pydantic import ValidationError

    try:
        DESIGNS[request.method].model_validate({**texts.design(request), "id": request.id})
    except ValidationError as error:
        raise ParametersError(
            code="E-CLI-054",
            what="Ces colonnes ne font pas une étude. / These columns do not make a study.",
            found="; ".join(str(each["msg"]) for each in error.errors(include_url=False)),
            expected="every column used once",
            fix="change the names of the columns",
        ) from error


def _require_free(name: str) -> None:
    if store.path(*name.split("/")).exists():
        raise ParametersError(
            code="E-CLI-055",
            what="Un fichier est déjà là ; rien n'est écrasé. / A file is there already; nothing is overwritten.",
            where=name,
            expected="no such file",
            fix="choose another id, or move the file",
        )


# adding to a file that people wrote ----------------------------------------------------------------------------------


def _grown(name: str, entry: str, section: str) -> bytes:
    """The file with an entry at the end of a section; every byte that was there stays.

    Raises:
        ParametersError: the section is not written as a block at the left margin, so that adding could spoil it.
    """
    before = store.read_bytes(store.path(*name.split("/")))
    end = b"\r\n" if b"\r\n" in before else b"\n"
    place = _end_of_section(before, section)
    lead = b"" if before[:place].endswith(b"\n") else end
    addition = lead + end + entry.encode().replace(b"\n", end)
    after = before[:place] + addition + before[place:]
    if not _only_added(before, after, section, name):
        raise ParametersError(
            code="E-CLI-056",
            what="On ne peut rien ajouter à ce fichier sans risque. / Nothing can be added to this file safely.",
            where=name,
            found=f"the section '{section}:' is not a plain block",
            expected=f"'{section}:' at the left margin, one entry below the other",
            fix=f"add this yourself:\n{entry}",
        )
    return after


def _end_of_section(content: bytes, section: str) -> int:
    """Where the last line of the section ends; blank lines and comments at the left margin belong to what follows."""
    place, inside, end = 0, False, len(content)
    for line in content.splitlines(keepends=True):
        place += len(line)
        if line.startswith(section.encode() + b":"):
            inside, end = True, place
        elif inside and line[:1] in b" \t" and line.strip():
            end = place
        elif inside and line.strip() and not line.startswith(b"#"):
            break
    return end


def _only_added(before: bytes, after: bytes, section: str, name: str) -> bool:
    """Whether the file means what it meant, with one entry more in the section."""
    try:
        old, new = (parse_yaml(content, name).data for content in (before, after))
    except ParametersError:
        return False
    if not isinstance(new, Mapping) or not isinstance(old, Mapping) or list(old) != list(new):
        return False
    others = all(old[key] == new[key] for key in old if key != section)
    return others and section in old and _one_more(old[section], new[section])


def _one_more(old: Any, new: Any) -> bool:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return list(new)[:-1] == list(old) and all(new[key] == old[key] for key in old)
    return isinstance(old, list | tuple) and isinstance(new, list | tuple) and list(new)[:-1] == list(old)
