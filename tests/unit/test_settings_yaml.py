"""One YAML for all: what we read is what DVC reads, and nothing surprises."""

import pytest
from dvc.utils.serialize import load_yaml

from evaluation.errors import ProblemsError
from evaluation.settings.yaml12 import MAX_BYTES, parse_yaml, read_yaml


def parse(text, file="params.yaml"):
    return parse_yaml(text.encode("utf-8") if isinstance(text, str) else text, file)


def refused(text, file="params.yaml"):
    with pytest.raises(ProblemsError) as caught:
        parse(text, file)
    return caught.value.problems


def test_what_yaml_1_1_would_misread_is_read_as_it_stands_and_as_dvc_reads_it(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(
        "country: NO\nswitch: on\ncode: 010\nsmall: 1e3\nclock: 12:30:00\noctal: 0o17\n"
        "grouped: 1_000\nday: '2024-02-29'\nnothing: ~\n"
        "yes_no: [yes, no, Y, N, off, true]\nquoted: '010'\nversion: 1.10\nlong: 9007199254740993\n"
    )
    ours = read_yaml(file).data
    assert ours == {
        "country": "NO",
        "switch": "on",
        "code": 10,
        "small": 1000.0,
        "clock": "12:30:00",
        "octal": 15,
        "grouped": 1000,
        "day": "2024-02-29",
        "nothing": None,
        "yes_no": ["yes", "no", "Y", "N", "off", True],
        "quoted": "010",
        "version": 1.1,
        "long": 9007199254740993,
    }
    assert load_yaml(str(file)) == ours


def test_the_params_of_this_repository_read_the_same_through_dvc(repository):
    file = repository / "params.yaml"
    assert load_yaml(str(file)) == read_yaml(file).data


def test_an_empty_file_says_nothing():
    assert parse("").data is None
    assert parse("# only a comment\n").data is None


def test_a_key_knows_its_line():
    document = parse("a:\n  b:\n    - x: 1\n      y: 2\n\n    - x: 3\n2024: z\n")
    assert document.line("a") == 1
    assert document.line("a.b.0.y") == 4
    assert document.line(("a", "b", 1)) == 6
    assert document.line(("a", "b", 1, "x")) == 6
    assert document.line((2024,)) == 7


def test_a_missing_key_has_the_line_of_the_key_above():
    document = parse("a:\n  b:\n    c: 1\n")
    assert document.line("a.b.unit") == 2
    assert document.line("z") is None


def test_a_key_that_comes_by_merge_has_the_line_where_it_is_written():
    document = parse("base: &base {x: 1,\n  y: 2}\nuse:\n  <<: *base\n  y: 3\n")
    assert document.data["use"] == {"x": 1, "y": 3}
    assert document.line("use.x") == 1
    assert document.line("use.y") == 5


def test_a_key_that_stands_twice_is_refused_with_both_lines():
    (problem,) = refused("a: 1\nb:\n  unit: x\n  name: y\n  unit: z\n")
    assert problem.code == "E-SET-010"
    assert problem.key == "b.unit"
    assert problem.line == 5
    assert problem.found == "line 3 and line 5"


def test_all_keys_that_stand_twice_are_reported_at_once():
    assert [problem.key for problem in refused("a: 1\na: 2\nb: {c: 1, c: 2}\n")] == ["a", "b.c"]


def test_two_spellings_of_one_number_are_one_key():
    (problem,) = refused("1: a\n01: b\n")
    assert problem.code == "E-SET-005"


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
        ("!include secret.yaml", "!include"),
        ("!!binary aGk=", "!!binary"),
        ("!!set {a}", "!!set"),
    ],
)
def test_tags_are_refused(tag, found):
    (problem,) = refused(f"a: 1\nb: {tag}\n")
    assert (problem.code, problem.key, problem.line, problem.found) == ("E-SET-007", "b", 2, found)


def test_tags_of_plain_values_do_no_harm():
    assert parse("a: !!str 010\n").data == {"a": "010"}


@pytest.mark.parametrize("head", ["%YAML 1.1\n---\n", "# first\n\n%TAG ! tag:example.org,2000:\n---\n"])
def test_directives_are_refused(head):
    (problem,) = refused(f"{head}a: NO\n")
    assert problem.code == "E-SET-004"


def test_a_percent_sign_further_down_is_text():
    assert parse("a: |\n  x\n  %y\n").data == {"a": "x\n%y\n"}


def test_aliases_that_explode_are_refused():
    # 10 levels of 10 aliases would be 10 ** 10 values
    levels = ["l0: &l0 [x]"] + [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 11)]
    (problem,) = refused("\n".join(levels))
    assert problem.code == "E-SET-006"


def test_an_alias_that_contains_itself_is_refused():
    (problem,) = refused("a: &a [*a]\n")
    assert problem.code == "E-SET-006"
    assert problem.found == "an alias that contains itself"


def test_a_few_aliases_are_welcome():
    assert parse("a: &a [1]\nb: *a\n").data == {"a": [1], "b": [1]}


@pytest.mark.parametrize("text", ["a: " + "[" * 500, "{a: " * 3000, "- " * 3000 + "1"])
def test_a_file_nested_too_deeply_is_refused(text):
    (problem,) = refused(text)
    assert problem.code == "E-SET-011"


def test_a_file_that_is_too_large_is_refused(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ProblemsError) as caught:
        read_yaml(file)
    assert caught.value.problems[0].code == "E-SET-002"


def test_text_that_is_not_utf8_is_refused_with_its_line():
    (problem,) = refused("a: 1\nb: été\n".encode("cp1252"))
    assert (problem.code, problem.line) == ("E-SET-003", 2)


def test_a_byte_order_mark_does_no_harm():
    assert parse(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1\n", 3),
        ("a: 1\nb: *nobody\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\nb: \x00\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: b: c\n", 1),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text, line):
    (problem,) = refused(text)
    assert (problem.code, problem.line) == ("E-SET-005", line)


@pytest.mark.parametrize("value", ["2026-01-15", "2026-13-45", "2026-01-15 10:00:00"])
def test_a_date_without_quotes_is_refused_because_dvc_refuses_it(value):
    (problem,) = refused(f"a: 1\nb: {value}\n")
    assert (problem.code, problem.key, problem.line, problem.found) == ("E-SET-100", "b", 2, value)
    assert problem.expected == f'"{value}"'


def test_a_number_of_thousands_of_digits_is_refused_with_its_line():
    (problem,) = refused(f"a: 1\nb: {'9' * 5000}\n")
    assert (problem.code, problem.key, problem.line) == ("E-SET-008", "b", 2)


@pytest.mark.parametrize("key", ["? [1, 2]\n: x", "true: x", "~: x", "2024-01-01: x", "1.5: x"])
def test_a_key_is_text_or_a_whole_number(key):
    (problem,) = refused(f"{key}\n")
    assert problem.code == "E-SET-009"


def test_json_is_read_as_well_tabs_included():
    assert parse('{\n\t"a": [1,\n\t\t2.5, null, "é\\u00e9"]\n}\n', "design.json").data == {"a": [1, 2.5, None, "éé"]}


def test_a_file_of_the_project_is_named_from_its_root(project):
    root = project("a: 1\n")
    assert read_yaml(root / "params.yaml").file == "params.yaml"


def test_a_file_elsewhere_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALUATION_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.yaml").write_text("a: 1\n")
    assert read_yaml(tmp_path / "design.yaml").file == str(tmp_path / "design.yaml")
