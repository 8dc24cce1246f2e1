"""params.yaml as one frozen value, with every problem of the file reported at once."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from evaluation import store
from evaluation.errors import ParametersError, Problem, ProblemsError
from evaluation.settings.designs import DESIGNS, Design
from evaluation.settings.diffusion import DiffusionPolicy
from evaluation.settings.fields import SLUG_RULE, Flag, Frozen, FrozenDict, Integer, frozen, no_duplicates, one_or_many
from evaluation.settings.policy import Selection
from evaluation.settings.problems import Origin, from_validation, nearest, show
from evaluation.settings.synthesis import Synthesis
from evaluation.settings.transfer import TransferPolicy
from evaluation.settings.yaml12 import Document, KeyPath, parse_yaml, read_yaml

FILE = "params.yaml"
NEEDED = ("role", "innovation", "data")

_OWN_KEYS: Mapping[str, frozenset[str]] = {
    method: frozenset(model.model_fields) - frozenset(Design.model_fields) for method, model in DESIGNS.items()
}
_ALL_OWN_KEYS = frozenset().union(*_OWN_KEYS.values())
_PLACEHOLDER = "design"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Everything that an evaluator decides.

    Attributes:
        languages: of the reports; the first is the default.
        documents: whether reports are also written as PDF, which takes most of the time of the stage.
        seed: where all random numbers start.
        evaluations: id -> design, in the order of the file.
        rubric: the section as it stands, frozen; None if there is none.
        selection: the policy; None if there is none.
        synthesis: how findings become one number; None if there is none.
        diffusion: how spread is fitted and planned; None if there is none.
        transfer: when a finding may be carried to a territory; None if there is none.
        line: line of a key path in params.yaml, for later problems.
    """

    languages: tuple[str, ...]
    documents: bool
    seed: int
    evaluations: Mapping[str, Design]
    rubric: FrozenDict | None
    selection: Selection | None
    synthesis: Synthesis | None
    diffusion: DiffusionPolicy | None
    transfer: TransferPolicy | None
    line: Callable[[KeyPath], int | None] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """params.yaml with its problems.

    Attributes:
        document: what the file says.
        problems: what is wrong with it.
        params: what it means; None if anything is wrong.
    """

    document: Document
    problems: tuple[Problem, ...]
    params: Params | None


def read_params(root: Path | None = None) -> Params:
    """Everything that an evaluator decides.

    Args:
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
    """
    examined = examine(root)
    if examined.params is None:
        raise ProblemsError(examined.problems)
    return examined.params


def read_design(evaluation_id: str, root: Path | None = None) -> Design:
    """The design of one evaluation.

    Raises:
        ParametersError: params.yaml has no such evaluation.
        ProblemsError: something in params.yaml cannot be.
    """
    evaluations = read_params(root).evaluations
    if evaluation_id not in evaluations:
        near = nearest(evaluation_id, evaluations)
        raise ParametersError(
            code="E-SET-027",
            what="There is no evaluation of this name.",
            where=FILE,
            found=repr(evaluation_id),
            expected=f"one of {', '.join(evaluations)}" if evaluations else "an entry under 'evaluations:'",
            fix=f"did you mean {near}?" if near else f"add it under 'evaluations:' in {FILE}",
        )
    return evaluations[evaluation_id]


def read_design_file(source: Path, *, data_file: str | None = None) -> Design:
    """A design that stands alone in a YAML or JSON file: what would stand under one id in params.yaml.

    `role`, `innovation`, `data` and `id` may be left out; the id is then made from the file's name.

    Args:
        source: the file of the design.
        data_file: name of the data file when it is given elsewhere: `data:` then says only how to read it, such as
            `data: {separator: ";"}`.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
    """
    document = read_yaml(source)
    origin = Origin(file=document.file, line=document.line)
    raw = document.data
    if not isinstance(raw, Mapping):
        raise ProblemsError(
            [
                origin.problem(
                    "E-SET-029", "a design file is a mapping", found=show(raw), expected="method: …, outcomes: …"
                )
            ]
        )
    identifier = raw.get("id", _slug_of(source.stem))
    rest = {key: value for key, value in raw.items() if key != "id"}
    if data_file is not None and _names_no_source(rest.get("data")):
        rest["data"] = {**rest["data"], "file": data_file}
    design, problems = _design(identifier, rest, origin, needed=())
    if design is None or problems:
        raise ProblemsError(problems)
    return design


def _names_no_source(data: object) -> bool:
    """Whether `data:` says how to read a file without saying which."""
    return isinstance(data, Mapping) and not {"file", "package", "table"} & data.keys()


def examine(root: Path | None = None) -> Examined:
    """params.yaml with its problems, for callers that report those of other files as well.

    Raises:
        ProblemsError: the file is not YAML as this project reads it.
    """
    return _examine_content(store.read_bytes(store.resolve(FILE, base=root)))


@lru_cache(maxsize=4)
def _examine_content(content: bytes) -> Examined:
    """Cached by content: hundreds of evaluations read the same file, and what it means never changes."""
    document = parse_yaml(content, FILE)
    origin = Origin(file=FILE, line=document.line)
    if not isinstance(document.data, Mapping):
        found = show(document.data)
        problem = origin.problem("E-SET-028", "params.yaml is a mapping", found=found, expected="evaluations: …")
        return Examined(document=document, problems=(problem,), params=None)
    sections, problems = _sections(document.data, origin)
    designs, design_problems = _designs(document.data.get("evaluations"), origin.below("evaluations"))
    problems += design_problems
    if sections is None or problems:
        return Examined(document=document, problems=tuple(problems), params=None)
    return Examined(document=document, problems=(), params=_params(sections, designs, document))


def _params(sections: "_Sections", designs: Mapping[str, Design], document: Document) -> Params:
    return Params(
        languages=sections.languages,
        documents=sections.documents,
        seed=sections.seed,
        evaluations=FrozenDict(designs),
        rubric=None if sections.rubric is None else frozen(sections.rubric),
        selection=sections.selection,
        synthesis=sections.synthesis,
        diffusion=sections.diffusion,
        transfer=sections.transfer,
        line=document.line,
    )


# sections ------------------------------------------------------------------------------------------------------------


class _Sections(Frozen):
    """params.yaml as a whole; evaluations are examined one by one, each by the model of its method."""

    languages: Annotated[
        tuple[Literal["fr", "en"], ...],
        BeforeValidator(one_or_many),
        AfterValidator(no_duplicates),
        Field(min_length=1),
    ] = ("fr", "en")
    documents: Flag = True
    seed: Annotated[Integer, Field(ge=0)] = 0
    evaluations: dict[Any, Any] | None = None
    rubric: dict[str, Any] | None = None
    selection: Selection | None = None
    synthesis: Synthesis | None = None
    diffusion: DiffusionPolicy | None = None
    transfer: TransferPolicy | None = None


def _sections(raw: Mapping[str, Any], origin: Origin) -> tuple[_Sections | None, list[Problem]]:
    try:
        return _Sections.model_validate(raw), []
    except ValidationError as error:
        return None, from_validation(error, model=_Sections, raw=raw, origin=origin)


# designs -------------------------------------------------------------------------------------------------------------


def _designs(raw: Any, origin: Origin) -> tuple[dict[str, Design], list[Problem]]:
    designs, problems = {}, []
    for identifier, entry in raw.items() if isinstance(raw, Mapping) else ():
        design, found = _design(identifier, entry, origin.below(identifier), needed=NEEDED)
        problems += found
        if design is not None:
            designs[design.id] = design
    return designs, problems


def _design(
    identifier: Any, raw: Any, origin: Origin, *, needed: tuple[str, ...]
) -> tuple[Design | None, list[Problem]]:
    """The design, or None, and all that is wrong with it."""
    problems = list(_id_problems(identifier, origin))
    if not isinstance(raw, Mapping):
        expected = "method: …, outcomes: …, as a mapping"
        return None, [
            *problems,
            origin.problem("E-SET-020", "an evaluation is a mapping", found=show(raw), expected=expected),
        ]
    problems += [*_missing(raw, origin, needed), *_method_problems(raw, origin)]
    model = DESIGNS.get(str(raw.get("method")), Design)
    own = _common_keys(raw) if model is Design else dict(raw)
    try:
        design = model.model_validate({**own, "id": _PLACEHOLDER if problems else identifier})
    except ValidationError as error:
        found = from_validation(error, model=model, raw=raw, origin=origin, foreign=_foreign_keys(model))
        return None, problems + found
    return (None if problems else design), problems


def _id_problems(identifier: Any, origin: Origin) -> Iterator[Problem]:
    if not store.is_slug(identifier):
        yield origin.problem(
            "E-SET-025", "this id cannot be used in a path", found=repr(identifier), expected=SLUG_RULE
        )


def _missing(raw: Mapping[str, Any], origin: Origin, needed: tuple[str, ...]) -> Iterator[Problem]:
    if "id" in raw:
        yield origin.problem("E-SET-026", "the id is the key above", key=("id",), found="id", expected="no id here")
    for key in needed:
        if raw.get(key) in (None, [], ""):
            yield origin.problem(
                "E-SET-024", f"an evaluation needs '{key}'", key=(key,), found="nothing", expected=f"{key}: …"
            )


def _method_problems(raw: Mapping[str, Any], origin: Origin) -> Iterator[Problem]:
    method, expected = raw.get("method"), f"one of {', '.join(DESIGNS)}"
    if method is None:
        yield origin.problem(
            "E-SET-023", "a design needs a method", key=("method",), found="nothing", expected=expected
        )
    elif not isinstance(method, str) or method not in DESIGNS:
        near = nearest(method, DESIGNS)
        yield origin.problem(
            "E-SET-022", "unknown method", key=("method",), found=show(method), expected=expected, nearest=near
        )


def _common_keys(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What can be judged while the method is not known."""
    return {
        "method": "",
        **{key: value for key, value in raw.items() if key not in {*_ALL_OWN_KEYS, "method"}},
    }


def _foreign_keys(model: type[Design]) -> dict[str, str]:
    """Keys of other methods -> why they do not stand here."""
    others = sorted(_ALL_OWN_KEYS - set(model.model_fields))
    return {key: f"'{key}' belongs to {_owners(key)}" for key in others}


def _owners(key: str) -> str:
    methods = [method for method, keys in _OWN_KEYS.items() if key in keys]
    return f"method {methods[0]}" if len(methods) == 1 else f"methods {', '.join(methods)}"


def _slug_of(stem: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:64].rstrip("-")
    return slug if store.is_slug(slug) else _PLACEHOLDER
