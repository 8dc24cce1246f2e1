"""Commands: parse, call one function, print.

Exit codes: 0 ok, 2 usage or parameters, 3 data, 4 stale, 5 disclosure, 6 environment, 70 a mistake of ours.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from evaluation import store
from evaluation.errors import EvaluationError, ParametersError, SetupError

if TYPE_CHECKING:
    from evaluation.evidence.grading import Grade
    from evaluation.evidence.record import Record

STOPPED: Final = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which social innovations deserve to be scaled: run evaluations, see why, report.",
    epilog="Files: params.yaml says what is evaluated and how; reports/index.html is what people read.",
)
check_app = typer.Typer(
    invoke_without_command=True, help="Check what people wrote, and data, without estimating anything."
)
app.add_typer(check_app, name="check")
new_app = typer.Typer(no_args_is_help=True, help="Begin something: write what it needs, over nothing that is there.")
app.add_typer(new_app, name="new")
plan_app = typer.Typer(no_args_is_help=True, help="Freeze a plan before outcomes are opened; see what differs from it.")
app.add_typer(plan_app, name="plan")

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Evaluations; all of params.yaml if none is named.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="An evaluation of params.yaml.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Evaluations at a time; by default one a processor.")
]
Internal = Annotated[
    bool, typer.Option("--internal", help="For internal use: allows micro-data that are not public, stamps every page.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
RecordName = Annotated[str, typer.Argument(metavar="RECORD", help="Id of a record, or a record.json.")]


def main() -> None:
    """Run the command line; errors become a text for people on stderr (JSON with --json) and an exit code."""
    try:
        app(prog_name="evaluation")
    except EvaluationError as error:
        _fail(error)
    except Exception as error:  # the last resort: no traceback for people, but all of it in the log
        _fail(_unforeseen(error))


# the chain -----------------------------------------------------------------------------------------------------------


@app.command(epilog="Examples: evaluation run · evaluation run small-classes --jobs 1")
def run(ids: Ids = None, jobs: Jobs = None, internal: Internal = False) -> None:
    """Run what is not fresh, from data to reports; with ids, these evaluations and what follows from them."""
    from evaluation.pipeline import run as pipeline

    try:
        ran = pipeline.run(ids or (), jobs=jobs, internal=internal)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept, `evaluation run` goes on from there", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    print(f"ran: {', '.join(ran)}" if ran else "nothing to do: everything is fresh")
    print(f"open {store.path('reports', 'index.html')}")


@app.command(epilog="Example: evaluation status")
def status(as_json: Json = False) -> None:
    """One line an evaluation: fresh, or stale and why; then what else changed since the last whole run."""
    from evaluation.pipeline import dvc
    from evaluation.pipeline import run as pipeline

    states, changed = pipeline.states(), dvc.changed()
    if as_json:
        rows = [{"id": state.evaluation_id, "method": state.method, "reasons": state.reasons} for state in states]
        _print_json({"evaluations": rows, "changed": changed})
        return
    width = max((len(state.evaluation_id) for state in states), default=0)
    for state in states:
        print(f"{state.evaluation_id:{width}}  {state.method:10}  {_in_one_line(state.reasons)}")
    for name, stages in changed.items():
        print(f"changed since the last whole run: {name} ({', '.join(stages)})")


@app.command(epilog="Example: evaluation why small-classes")
def why(evaluation_id: Id) -> None:
    """Which inputs of an evaluation changed since its results were made."""
    from evaluation.pipeline import run as pipeline
    from evaluation.settings.params import read_design

    design = read_design(evaluation_id)
    reasons = next(state.reasons for state in pipeline.states() if state.evaluation_id == design.id)
    print("\n".join(reasons) or "fresh: nothing it depends on has changed")


@app.command(epilog="Examples: evaluation report · evaluation report --lang en")
def report(
    lang: Annotated[
        str | None, typer.Option("--lang", help="fr or en; by default the languages of params.yaml.")
    ] = None,
    internal: Internal = False,
) -> None:
    """Write the pages again from the results that are there."""
    from evaluation.report import pages
    from evaluation.settings.params import read_params

    languages = (lang,) if lang else read_params().languages
    files = pages.build(languages=languages, internal=internal)
    print(f"open {files[0]}")


@app.command(hidden=True)
def stage(name: str) -> None:
    """Run one stage, for dvc.yaml."""
    from evaluation.pipeline import dvc

    dvc.run_stage(name)


# looking -------------------------------------------------------------------------------------------------------------


@check_app.callback()
def check(context: typer.Context) -> None:
    """Check params.yaml and data/portfolio: every problem, with its line."""
    if context.invoked_subcommand is None:
        from evaluation import settings

        params, portfolio = settings.check_all()
        print(f"{len(params.evaluations)} evaluations, {len(portfolio.innovations)} innovations: no problem found")
        blinded = sorted(name for name, design in params.evaluations.items() if design.blinded)
        if blinded:
            print(f"AVEUGLE / BLINDED, outcomes permuted, neither shown nor graded: {', '.join(blinded)}")


@check_app.command("data", epilog="Example: evaluation check data small-classes")
def check_data(evaluation_id: Id) -> None:
    """Make the analysis sample of an evaluation in memory; show which rows were dropped and what the columns hold."""
    from evaluation import sample
    from evaluation.settings.params import read_design

    made = sample.prepare(read_design(evaluation_id))
    print(made.data_source + ("\nAVEUGLE / BLINDED: outcomes are permuted" if made.blinded else ""))
    for step in made.flow:
        print(f"{step.left:>10,} rows left  {step.dropped:>8,} dropped  {step.step}: {step.reason}")
    print(f"{made.rows_used:>10,} rows of {made.units:,} units\n")
    columns = ["column", "canonical", "type", "unit", "missing", "minimum", "maximum"]
    print(made.codebook[columns].to_string(index=False, na_rep=""))
    print("\n".join(made.notes))


@app.command(epilog="Example: evaluation estimate survey.csv --design design.yaml --json")
def estimate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data file.")],
    design: Annotated[
        Path,
        typer.Option(
            "--design", help="What would stand under one id in params.yaml; role, innovation and data may be left out."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Estimate one effect from a file of your own; writes nothing."""
    from evaluation.pipeline import single

    _use_our_project()
    with redirect_stdout(sys.stderr):
        made = single.estimate(data, design)
    if as_json:
        _print_json(made.as_dict())
    else:
        print(_record_in_words(made))


@app.command(epilog="Examples: evaluation grade small-classes · evaluation grade record.json --json")
def grade(record: RecordName, as_json: Json = False) -> None:
    """The grade of one record, with everything that holds it down."""
    from evaluation.evidence import grading, rubric

    _use_our_project()
    given = grading.grade(_record(record), rubric.read())
    if as_json:
        _print_json(given.as_dict())
    else:
        print(_grade_in_words(given))


@app.command(epilog="Example: evaluation compare work-experience-trial work-experience-matched")
def compare(first: RecordName, second: RecordName) -> None:
    """Two records side by side: estimate, standard error, grade, and why the lower one is lower."""
    from evaluation.evidence import grading, rubric

    _use_our_project()
    rules = rubric.read()
    records = [_record(first), _record(second)]
    grades = [grading.grade(record, rules) for record in records]
    for name, *values in _rows(records, grades):
        print(f"{name:20}  {values[0]:>28}  {values[1]:>28}")
    better, worse = sorted((0, 1), key=lambda place: -grades[place].value)
    print("\n" + grading.compare_reason(records[better], grades[better], records[worse], grades[worse])[1])


@app.command(
    epilog="Examples: evaluation ballots ballots.csv · evaluation ballots ballots.csv --consultation ID --keep"
)
def ballots(
    data: Annotated[Path, typer.Argument(metavar="FILE", help="Typed ballots (CSV or workbook), one row a ballot.")],
    consultation: Annotated[
        str | None, typer.Option("--consultation", help="A vote of data/portfolio/participation.yaml.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Copy the file to where the consultation says, once.")] = False,
    best_worst: Annotated[
        bool, typer.Option("--best-worst", help="FILE holds screens of four: the most and the least serious of each.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count ballots by majority judgment, say how sure the ranking is and where other rules disagree."""
    from evaluation.needs import screens_count, single_vote

    _use_our_project()
    if best_worst:
        _require_no_keep(keep=keep)
        counted = screens_count.told(data, consultation)
        _print_json(counted) if as_json else print(screens_count.in_words(counted))
        return
    told = single_vote.told(data, consultation, keep=keep)
    if as_json:
        _print_json(told)
    else:
        print(single_vote.in_words(told))


@app.command("ballot-form", epilog="Examples: evaluation ballot-form --to vote · evaluation ballot-form ID --to vote")
def ballot_form(
    consultation: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A vote of participation.yaml; all difficulties if none.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="Folder for the pages and the empty table.")] = Path("ballots"),
) -> None:
    """Write the ballot to print (French, English, easy-to-read French) and the empty table to type it in."""
    from evaluation.needs import single_vote

    _use_our_project()
    for file in single_vote.write_form(to, consultation):
        print(file)


@app.command(epilog="Examples: evaluation event creil-sud-oise · evaluation event creil-sud-oise --to day --lang fr")
def event(
    territory: Annotated[str, typer.Argument(metavar="TERRITORY", help="A test territory of territories.yaml.")],
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write; by default event-TERRITORY.")] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="fr or en; by default those of params.yaml.")] = None,
) -> None:
    """Write the working day in a territory to print: programme, dossiers, ballots, decision sheets, blank minutes."""
    from evaluation.report import event as day

    _use_our_project()
    for file in day.write_folder(territory, to, lang):
        print(file)


@app.command(epilog="Examples: evaluation power plan.yaml · evaluation power small-classes --clusters 120 --lang en")
def power(
    plan: Annotated[str, typer.Argument(metavar="FILE or ID", help="A plan, or an evaluation to plan one like it.")],
    units: Annotated[int | None, typer.Option("--units", help="Units assigned, where units are drawn.")] = None,
    clusters: Annotated[int | None, typer.Option("--clusters", help="Clusters assigned.")] = None,
    cluster_size: Annotated[float | None, typer.Option("--cluster-size", help="Units in each cluster.")] = None,
    effect: Annotated[float | None, typer.Option("--effect", help="Effect to be found, in the outcome's unit.")] = None,
    simulate: Annotated[int | None, typer.Option("--simulate", help="Check by so many studies drawn.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Write the power curve to this .svg file.")] = None,
    lang: Annotated[str, typer.Option("--lang", help="fr or en.")] = "fr",
    as_json: Json = False,
) -> None:
    """The smallest effect that a study can find, the size an effect needs, or the best study for a budget."""
    from evaluation.pipeline import planning
    from evaluation.report import planning as words

    sizes = {"units": units, "clusters": clusters, "cluster_size": cluster_size, "effect": effect}
    asked: dict[str, Any] = {key: value for key, value in sizes.items() if value is not None}
    asked |= {} if simulate is None else {"simulate": {"repetitions": simulate}}
    found = planning.answer(plan, asked)
    if figure is not None:
        words.write_curve(found, figure, words.language(lang))
    if as_json:
        _print_json(found.as_dict())
    else:
        print(words.in_words(found, words.language(lang)))


@app.command(epilog="Examples: evaluation intake --form fiche.xlsx · evaluation intake fiche.xlsx --keep")
def intake(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Filled forms.")] = None,
    form: Annotated[
        Path | None, typer.Option("--form", help="Write the empty form: a .xlsx workbook, or .yaml.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep valid forms in data/portfolio/intake.")] = False,
    lang: Annotated[str, typer.Option("--lang", help="fr or en.")] = "fr",
    as_json: Json = False,
) -> None:
    """Read proposals that people filled in, say what to correct, which to learn about first, and how far they came."""
    from evaluation.selection import intake_desk

    _use_our_project()
    if form is not None:
        print(intake_desk.write_form(form))
        return
    told = intake_desk.told(files or [], keep=keep)
    if as_json:
        _print_json(told.as_dict())
    else:
        print(intake_desk.in_words(told, lang))
    if told.refused:
        raise typer.Exit(ParametersError.exit_code)


@new_app.command(
    "innovation",
    epilog="Examples: evaluation new innovation garage --difficulty mobility · … --form F.xlsx · … --from F.xlsx",
)
def new_innovation(
    innovation: Annotated[str | None, typer.Argument(metavar="[ID]", help="Lower case, digits, hyphens.")] = None,
    difficulty: Annotated[str, typer.Option("--difficulty", help="An id of difficulties.yaml.")] = "",
    method: Annotated[str, typer.Option("--method", help="experiment, did, matching or weighting.")] = "experiment",
    label: Annotated[str, typer.Option("--label", help="Name in French.")] = "",
    label_en: Annotated[str, typer.Option("--label-en", help="Name in English.")] = "",
    blinded: Annotated[bool, typer.Option("--blinded", help="Permute outcomes until the plan is frozen.")] = False,
    form: Annotated[Path | None, typer.Option("--form", help="Write the workbook to fill in instead.")] = None,
    filled: Annotated[Path | None, typer.Option("--from", help="Read a filled workbook.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written; write nothing.")] = False,
) -> None:
    """Scaffold an innovation: portfolio entry, parameters, plan with ethics, simulated data with a planted effect."""
    from evaluation.pipeline import scaffold

    if form is not None:
        print(scaffold.write_form(form))
        return
    words = {"difficulty": difficulty, "method": method, "label_fr": label, "label_en": label_en}
    request = scaffold.asked(innovation, filled, blinded=blinded, **words)
    made = scaffold.plan(request)
    print((made if dry_run else scaffold.write(made)).in_words())


@plan_app.command("freeze", epilog="Example: evaluation plan freeze garage")
def plan_freeze(evaluation_id: Annotated[str, typer.Argument(metavar="ID", help="A blinded evaluation.")]) -> None:
    """Keep the plan of a blinded evaluation, and say the line of params.yaml that makes it binding."""
    from evaluation.pipeline import registration

    _use_our_project()
    print(registration.freeze(evaluation_id))


@plan_app.command("status", epilog="Example: evaluation plan status garage --json")
def plan_status(
    evaluation_id: Annotated[str, typer.Argument(metavar="ID", help="An evaluation of params.yaml.")],
    as_json: Json = False,
) -> None:
    """Whether an evaluation is as its plan was frozen, and what differs."""
    from dataclasses import asdict

    from evaluation.pipeline import registration

    _use_our_project()
    found = registration.status(evaluation_id)
    if as_json:
        _print_json(asdict(found))
    else:
        print(found.in_words())


@app.command(epilog="Examples: evaluation calibrate · evaluation calibrate --worlds W1,W6 --level 1 --repetitions 500")
def calibrate(
    worlds: Annotated[str, typer.Option("--worlds", help="Planted worlds, such as W0,W1; by default all.")] = "",
    repetitions: Annotated[int, typer.Option("--repetitions", help="Portfolios of each world.")] = 2000,
    studies: Annotated[int, typer.Option("--studies", help="Samples of each design of micro-data (level 2).")] = 120,
    seed: Annotated[int, typer.Option("--seed", help="Of everything drawn.")] = 20261125,
    level: Annotated[int, typer.Option("--level", help="1 = planted records; 2 = micro-data and trials too.")] = 2,
    to: Annotated[Path | None, typer.Option("--to", help="Write here; keeps the committed file as it is.")] = None,
) -> None:
    """Do grades mean what they say? Planted truth through the code that grades, and real trials beside imitations."""
    from datetime import UTC, datetime

    from evaluation.evidence import rubric
    from evaluation.evidence.calibration import page, results
    from evaluation.evidence.portfolio_synthesis import settings_of
    from evaluation.settings.params import read_params

    _use_our_project()
    _require_whole_file(to, worlds=worlds, level=level)
    found = results.calibrate(
        rubric.read(),
        settings_of(read_params()),
        date=f"{datetime.now(tz=UTC):%Y-%m-%d}",
        worlds=[name.strip() for name in worlds.split(",") if name.strip()],
        repetitions=repetitions,
        studies=studies,
        seed=seed,
        level=level,
    )
    if to is not None:
        store.write_json(to, found)
        print(to)
        return
    print(results.write(found))
    print(page.write(found))


@app.command(epilog="Example: evaluation doctor")
def doctor() -> None:
    """Is this machine ready? Looks for what usually goes wrong and says what to do."""
    from evaluation.pipeline import doctor as physician

    findings = physician.examine()
    for finding in findings:
        print(f"{'ok ' if finding.healthy else 'NO '} {finding.what}: {finding.found}")
        if not finding.healthy:
            print(f"    fix: {finding.fix}")
    if not all(finding.healthy for finding in findings):
        raise typer.Exit(SetupError.exit_code)


def _require_whole_file(to: Path | None, *, worlds: str, level: int) -> None:
    """Pages rest on the committed file: a part of it must not take its place."""
    if to is None and (worlds or level == 1):
        raise ParametersError(
            code="E-CLI-030",
            what="A part of the calibration would take the place of the whole.",
            found=f"--worlds {worlds or 'all'} --level {level}",
            expected="all worlds and level 2 for the committed file",
            fix="add --to FILE.json to look at a part, or leave out --worlds and --level",
        )


# printing ------------------------------------------------------------------------------------------------------------


def _in_one_line(reasons: tuple[str, ...]) -> str:
    if not reasons:
        return "fresh"
    more = f" (and {len(reasons) - 1} more: evaluation why)" if len(reasons) > 1 else ""
    return f"stale: {reasons[0]}{more}"


def _print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False))


def _record_in_words(record: "Record") -> str:
    lines = [f"{name:20}  {value}" for name, value in _facts(record)]
    lines += ["", *(f"{check.check}: {check.detail}" for check in record.checks)]
    return "\n".join([*lines, *record.notes])


def _facts(record: "Record") -> list[tuple[str, str]]:
    headline = record.headline
    return [
        ("outcome", f"{record.outcome.name} ({record.outcome.unit})"),
        ("method, estimand", f"{record.method}, {record.estimand}"),
        ("estimate", _number(headline.estimate)),
        ("standard error", _number(headline.std_error)),
        ("95% interval", f"{_number(headline.ci_low)} to {_number(headline.ci_high)}"),
        ("p-value", _number(headline.p_value)),
        ("rows used", _number(record.sample.rows_used)),
    ]


def _rows(records: list["Record"], grades: list["Grade"]) -> list[tuple[str, ...]]:
    facts = [dict(_facts(record)) for record in records]
    grade_row = tuple(f"{given.value} {given.label_en}" for given in grades)
    verdicts = tuple(given.verdict for given in grades)
    return [
        ("", *(record.id for record in records)),
        *((name, *(each[name] for each in facts)) for name in facts[0]),
        ("grade", *grade_row),
        ("verdict", *verdicts),
    ]


def _grade_in_words(given: "Grade") -> str:
    reasons = [f"- {reason.en}" for reason in given.reasons]
    repairs = [f"- {repair.en}" for repair in given.would_raise]
    return "\n".join(
        [
            f"{given.id}: {given.value} of 5, {given.label_en} (ceiling {given.ceiling}, rubric {given.rubric})",
            f"verdict: {given.verdict}",
            "what holds it down:" if reasons else "nothing holds it down",
            *reasons,
            *(["what would raise it:", *repairs] if repairs else []),
        ]
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


# errors and places ---------------------------------------------------------------------------------------------------


def _fail(error: EvaluationError) -> None:
    text = json.dumps(error.as_dict(), ensure_ascii=False) if "--json" in sys.argv else str(error)
    print(text, file=sys.stderr)
    raise SystemExit(error.exit_code)


def _unforeseen(error: Exception) -> EvaluationError:
    from evaluation.pipeline.workers import unforeseen

    return unforeseen(error, "evaluation")


def _require_no_keep(*, keep: bool) -> None:
    if keep:
        raise ParametersError(
            code="E-CLI-037",
            what="Screens of best-worst scaling are counted, not kept: the ballots of a consultation are grades.",
            found="--best-worst with --keep",
            expected="one of them",
            fix="keep the file of screens beside the ballots yourself",
        )


def _use_our_project() -> None:
    """Outside a project, use the one this package stands in: its rubric and its locked packages."""
    try:
        store.root()
    except SetupError:
        ours = Path(__file__).resolve().parents[2]
        if not all((ours / marker).is_file() for marker in store.MARKERS):
            raise
        os.environ["EVALUATION_ROOT"] = str(ours)


def _record(name: str) -> "Record":
    """The record with this id, or in this file."""
    from evaluation.evidence import record

    if store.is_slug(name) and not Path(name).is_file():
        return record.read(name)
    if not Path(name).is_file():
        raise ParametersError(
            code="E-CLI-001",
            what="There is no such record.",
            found=repr(name),
            expected="the id of a record, or a file that holds one",
            fix="`evaluation status` lists the evaluations; their records are data/evidence/estimated/ID/record.json",
        )
    return record.read_file(Path(name))
