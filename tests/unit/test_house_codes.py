"""Every error message is unique, documented and triggered by a test."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

CODE = re.compile(r"E-[A-Z]+-\d{3}")


def sources(repository: Path) -> list[Path]:
    return [*sorted((repository / "src").rglob("*.py")), repository / "run.py"]


def codes(file: Path) -> list[str]:
    """Codes that stand alone in a string: where they are raised, not where a docstring mentions them."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if CODE.fullmatch(text)]


@pytest.fixture(scope="module")
def raised(repository) -> list[str]:
    return [code for file in sources(repository) for code in codes(file)]


def test_every_place_that_raises_has_its_own_code(raised):
    assert [code for code, count in Counter(raised).items() if count > 1] == []


def test_every_code_is_documented(raised, repository):
    documented = set(CODE.findall((repository / "docs" / "errors.md").read_text(encoding="utf-8")))
    assert sorted(set(raised) - documented) == []
    assert sorted(documented - set(raised)) == []


def test_every_code_is_triggered_by_a_test(raised, repository):
    texts = [file.read_text(encoding="utf-8") for file in sorted((repository / "tests").rglob("*.py"))]
    tested = {code for text in texts for code in CODE.findall(text)}
    assert sorted(set(raised) - tested) == []
