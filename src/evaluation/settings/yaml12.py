"""The one YAML loader: YAML 1.2, as DVC reads it, with line numbers and without surprises.

Under YAML 1.1 `NO` is false, `010` is eight and `12:30:00` is 45000; two loaders in one project would read two
different designs. Everything that could surprise is refused: duplicate keys, custom tags, directives, aliases that
explode, and dates without quotes, which DVC does not accept as parameters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from evaluation import store
from evaluation.errors import Problem, ProblemsError, SetupError

MAX_BYTES = 5_000_000
MAX_NODES = 100_000

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge"))
_KEY_TAGS = frozenset(_TAG + name for name in ("str", "int", "merge"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a YAML file says, and where.

    Attributes:
        file: name of the file, from the project root where it lies inside.
        data: dicts, lists, text, numbers, booleans and None.
    """

    file: str
    data: Any
    _lines: dict[KeyPath, int] = field(repr=False, compare=False)

    def line(self, key: KeyPath | Sequence[str | int] | str) -> int | None:
        """The line of a key, from 1; that of the nearest key above where the key itself is missing.

        Args:
            key: path of keys and positions, or its dotted form ("evaluations.small-classes.outcomes.0.unit").
        """
        path: KeyPath = _split(key) if isinstance(key, str) else tuple(key)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)


def read_yaml(source: Path) -> Document:
    """Read a YAML file (or a JSON file, which is YAML in other clothes).

    Raises:
        ProblemsError: the file is too large, not UTF-8, not YAML, or says something that this project refuses.
    """
    return parse_yaml(store.read_bytes(source, at_most=MAX_BYTES + 1), _label(source))


def parse_yaml(content: bytes, file: str) -> Document:
    """What `read_yaml` does, for content that has been read already.

    Args:
        content: bytes of the file.
        file: its name, for problems.
    """
    text = _decode(content, file)
    try:
        yaml, node = _compose(text, file)
        problems = _problems(yaml, node, file)
        if problems:
            raise ProblemsError(problems)
        return Document(file=file, data=_construct(yaml, node, file), _lines=dict(_lines(node, ())))
    except RecursionError:
        raise _too_deep(file) from None


def _split(key: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() else part for part in key.split(".")) if key else ()


def _label(source: Path) -> str:
    """The name from the project root; a design file for `estimate` may lie anywhere."""
    try:
        return source.resolve().relative_to(store.root().resolve()).as_posix()
    except (SetupError, ValueError):
        return str(source)


# text ----------------------------------------------------------------------------------------------------------------


def _decode(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise _single(file, None, "E-SET-002", "the file is too large", f"more than {MAX_BYTES:,} bytes", "less")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} (the file is probably cp1252)"
        raise _single(file, line, "E-SET-003", "the text is not UTF-8", found, "UTF-8") from error
    _refuse_directives(text, file)
    return text.replace("\t", " ") if file.endswith(".json") else text  # YAML has no tabs, JSON has them between values


def _refuse_directives(text: str, file: str) -> None:
    """`%YAML 1.1` would change the meaning of everything below it."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("%"):
            raise _single(
                file, number, "E-SET-004", "YAML directives are not read", line, "YAML 1.2 without directives"
            )
        if line.strip() and not line.lstrip().startswith("#"):
            return


def _compose(text: str, file: str) -> tuple[YAML, Node | None]:
    yaml = YAML(typ="safe", pure=True)
    try:
        return yaml, yaml.compose(text)
    except YAMLError as error:
        raise _not_yaml(error, text, file) from error


def _construct(yaml: YAML, node: Node | None, file: str) -> Any:
    try:
        return None if node is None else yaml.constructor.construct_document(node)
    except YAMLError as error:
        raise _not_yaml(error, "", file) from error


def _not_yaml(error: YAMLError, text: str, file: str) -> ProblemsError:
    if isinstance(error, MarkedYAMLError):
        mark, found = error.problem_mark or error.context_mark, error.problem or str(error.context)
        line = mark.line + 1 if mark else None
    else:
        line, found = text.count("\n", 0, getattr(error, "position", 0)) + 1, str(error).splitlines()[0]
    return _single(
        file, line, "E-SET-005", "this is not YAML", found, "YAML 1.2: check indentation, brackets and quotes"
    )


# nodes ---------------------------------------------------------------------------------------------------------------


def _problems(yaml: YAML, node: Node | None, file: str) -> list[Problem]:
    if node is None:
        return []
    explosion = _explosion(node, file)
    return [explosion] if explosion else list(_walk(yaml, node, (), file, set()))


def _explosion(node: Node, file: str) -> Problem | None:
    size = _expanded(node, {}, ())
    if size <= MAX_NODES:
        return None
    return _problem(
        file,
        node.start_mark.line + 1,
        (),
        "E-SET-006",
        "aliases make this file explode",
        f"{size:,} values" if size < float("inf") else "an alias that contains itself",
        f"at most {MAX_NODES:,} values",
    )


def _expanded(node: Node, known: dict[int, float], above: tuple[int, ...]) -> float:
    """Number of nodes once aliases are written out; infinite if a node contains itself."""
    if id(node) in above:
        return float("inf")
    if id(node) not in known:
        known[id(node)] = 1 + sum(_expanded(child, known, (*above, id(node))) for child in _children(node))
    return known[id(node)]


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _walk(yaml: YAML, node: Node, path: KeyPath, file: str, seen: set[int]) -> Iterator[Problem]:
    """Problems of a node and of what it holds; a node that aliases repeat is looked at once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield from _tag_problems(node, path, file)
    if isinstance(node, ScalarNode):
        yield from _scalar_problems(yaml, node, path, file)
    if isinstance(node, MappingNode):
        yield from _key_problems(node, path, file)
    for key, _, child in _entries(node):
        yield from _walk(yaml, child, (*path, key), file, seen)


def _tag_problems(node: Node, path: KeyPath, file: str) -> Iterator[Problem]:
    tag = str(node.tag)
    if tag == _TAG + "timestamp":
        message = "a date stands in quotes"
        yield _problem(file, _line(node), path, "E-SET-100", message, str(node.value), f'"{node.value}"')
    elif tag not in _TAGS:
        found = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
        yield _problem(file, _line(node), path, "E-SET-007", "YAML tags are not read", found, "plain values")


def _scalar_problems(yaml: YAML, node: ScalarNode, path: KeyPath, file: str) -> Iterator[Problem]:
    """Python refuses to read whole numbers with thousands of digits."""
    try:
        if node.tag == _TAG + "int":
            yaml.constructor.construct_object(node)
    except ValueError:
        message = "this number is too long to be read"
        yield _problem(
            file, _line(node), path, "E-SET-008", message, f"{node.value[:20]}…", "a number, or text in quotes"
        )


def _key_problems(node: MappingNode, path: KeyPath, file: str) -> Iterator[Problem]:
    first: dict[tuple[str, str], ScalarNode] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode) or key.tag not in _KEY_TAGS:
            found = key.value[:80] if isinstance(key, ScalarNode) else "a list or mapping"
            yield _problem(
                file, _line(key), path, "E-SET-009", "this is not a key", found, "text, in quotes if need be"
            )
        elif first.setdefault((key.tag, key.value), key) is not key:
            lines = f"line {_line(first[key.tag, key.value])} and line {_line(key)}"
            below = (*path, key.value)
            yield _problem(file, _line(key), below, "E-SET-010", "a key stands twice", lines, "each key once")


def _lines(node: Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    for key, line, child in _entries(node):
        yield (*path, key), line
        yield from _lines(child, (*path, key))


def _entries(node: Node | None) -> Iterator[tuple[str | int, int, Node]]:
    """Key or position, line and value; keys that come by `<<` stand first, so that the mapping's own replace them."""
    if isinstance(node, SequenceNode):
        yield from ((position, _line(child), child) for position, child in enumerate(node.value))
    if isinstance(node, MappingNode):
        for key, child in node.value:
            if key.tag == _TAG + "merge":
                yield from _merged(child)
        for key, child in node.value:
            if isinstance(key, ScalarNode) and key.tag != _TAG + "merge":
                yield _key(key), _line(key), child


def _merged(node: Node) -> Iterator[tuple[str | int, int, Node]]:
    for mapping in reversed(node.value) if isinstance(node, SequenceNode) else (node,):
        yield from _entries(mapping)


def _key(node: ScalarNode) -> str | int:
    return int(node.value) if node.tag == _TAG + "int" and node.value.isdecimal() else str(node.value)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


# problems ------------------------------------------------------------------------------------------------------------


def _problem(file: str, line: int | None, path: KeyPath, code: str, message: str, found: str, expected: str) -> Problem:
    return Problem(
        file=file,
        key=".".join(map(str, path)),
        line=line,
        found=found,
        expected=expected,
        nearest=None,
        message=message,
        code=code,
    )


def _single(file: str, line: int | None, code: str, message: str, found: str, expected: str) -> ProblemsError:
    return ProblemsError([_problem(file, line, (), code, message, found, expected)])


def _too_deep(file: str) -> ProblemsError:
    return _single(file, None, "E-SET-011", "the file is nested too deeply", "hundreds of levels", "a few levels")
