"""docs/calibration.md, made from data/calibration/calibration.json; a test holds one against the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from evaluation import store
from evaluation.evidence.calibration import results

PROMISED: Final = {"inclusive": 0.94, "alarms": 0.90, "false": 0.05, "shrinkage": 0.001}
Row = Mapping[str, Any]
ORDER: Final = ("right", "wrong", "hidden")
BY_GRADE: Final = (
    ("right", "Right analyses by computed grade:"),
    ("wrong", "Wrong analyses that leave a trace:"),
    ("hidden", "Wrong analyses that leave none:"),
    ("silent_seen", "Right and wrong analyses in which nothing rang, hidden errors apart:"),
    ("silent", "All analyses in which nothing rang, hidden errors too: what a reader meets without an alarm:"),
    ("all", "All analyses:"),
)

HEAD: Final = """# Calibration: do grades mean what they say?

Made by `{command}` from `data/calibration/calibration.json`; do not edit. {made}
**Simulated data**, but for the last table. Code: `src/evaluation/evidence/calibration/`. A part runs with
`evaluation calibrate --worlds W1,W6 --level 1 --repetitions 500 --to part.json`. Every world and every design has a
stream of its own: parts that run apart give the same numbers.

* *conventional*: share of usual 95 % intervals that hold the truth.
* *with bias*: the same with the standard deviation of the bias that the grade declares (`synthesis.bias_sd`) in the
  error; ± is one standard error of the simulation."""
PLANTED: Final = """Records of five designs with checks drawn over the bands of the rubric, graded by the code that
grades real ones. The planted bias is that of the design in the literature, or of the next worse one where a check of
comparability is bad; it is not the grade's. Worlds: `evidence/worlds.py`; in W6 biases are twice as large as planted
elsewhere. Errors in standard deviations. Grade 0 claims no interval and is left out.

"""
COMPUTED: Final = """Each repetition is a data file that goes through sample, estimate, record and grade. Standard
deviations of the outcome. *Analysis*: *right*; *wrong*, with a trace in the data; *hidden*: wrong without one, so that
no check can ring more often than by chance, and only the ceiling of the design stands against the error.
*flagged*: an alarm ([rubric](rubric.md#alarms-what-contradicts-an-analysis)): something contradicts the analysis, one
test at 5 % over all that the record shows. *grade with / without alarm*: mean of the grades given. *flips*: grades that
change with the seed of the estimation, same data."""
REAL: Final = """No simulation. Same treated people; the comparison group is found, not drawn (NSW: respondents of the
surveys CPS and PSID; STAR: ordinary classes of other kinds of places). Standard deviations of the trial's comparison
group; standard errors in brackets. The trial's own error is part of the difference, so that even an unbiased method
misses now and then."""


def write(found: Row) -> Path:
    """Write the page; return its path."""
    file = store.path("docs", "calibration.md")
    store.write_text(file, text(found))
    return file


def text(found: Row) -> str:
    """The page, in Markdown."""
    parts = [_head(found), _verdicts(found), _planted(found), _computed(found), _real(found), _meaning()]
    return "\n\n".join(parts) + "\n"


def verdicts(found: Row) -> list[tuple[str, str, bool]]:
    """What is promised, what was found, and whether the promise holds."""
    return [*_of_intervals(found), *_of_alarms(found["computed"]["alarms"]), _of_ranks(found["shrinkage"]["p_value"])]


def _of_intervals(found: Row) -> list[tuple[str, str, bool]]:
    """Whether intervals hold the truth, at the grade where they do so least, and how that falls with the grade."""
    planted = [row for name, rows in found["planted"]["worlds"].items() if name != "W6" for row in rows]
    held = (
        (
            "planted records: intervals with bias hold the truth at least 94 % of the time at every grade, W6 apart",
            planted,
        ),
        ("micro-data analysed rightly: the same at every grade that was computed", found["computed"]["right"]),
        ("micro-data, all that rang nothing, hidden errors apart: the same", found["computed"]["silent_seen"]),
        ("micro-data, right, wrong and hidden analyses together: the same", found["computed"]["all"]),
    )
    falling = (
        ("planted records: coverage of conventional intervals falls with the grade", found["planted"]["worlds"]["W1"]),
        (
            "micro-data, all analyses: coverage of conventional intervals falls with the grade",
            found["computed"]["all"],
        ),
    )
    return [_held(said, rows) for said, rows in held] + [_falls(said, rows) for said, rows in falling]


def _held(said: str, rows: Sequence[Row]) -> tuple[str, str, bool]:
    lowest = min(row["inclusive"] for row in rows)
    return said, _percent(lowest), lowest >= PROMISED["inclusive"]


def _falls(said: str, rows: Sequence[Row]) -> tuple[str, str, bool]:
    shares = [row["conventional"] for row in rows]
    return said, " > ".join(map(_percent, shares)), shares == sorted(shares, reverse=True)


def _of_alarms(alarms: Row) -> list[tuple[str, str, bool]]:
    """How many wrong analyses are told, and how many right ones are taken for wrong."""
    wrong = (
        ("wrong analyses that leave a trace: flagged or graded 2 or lower, at least 90 %", "wrong_flagged_or_low"),
        ("the same: flagged, mean over designs, at least 90 %", "wrong_flagged"),
        ("the worst of them: flagged, at least 90 %", "wrong_worst"),
    )
    right = (
        ("right analyses flagged, mean over designs, at most 5 %", "false_alarms"),
        ("the worst of them flagged, at most 5 %", "false_alarms_worst"),
    )
    told = [(said, _percent(alarms[key]), alarms[key] >= PROMISED["alarms"]) for said, key in wrong]
    return told + [(said, _percent(alarms[key]), alarms[key] <= PROMISED["false"]) for said, key in right]


def _of_ranks(p: float) -> tuple[str, str, bool]:
    return "ranks of true effects in their posteriors uniform, p > .001", f"{p:.3f}", p > PROMISED["shrinkage"]


def _head(found: Row) -> str:
    made = f"Run of {found['date']}, seed {found['seed']}, rubric {found['rubric']}, synthesis {found['synthesis']}."
    return HEAD.format(command=results.COMMAND, made=made)


def _verdicts(found: Row) -> str:
    rows = [(promise, said, "holds" if held else "**fails**") for promise, said, held in verdicts(found)]
    return "## What is promised, and whether it holds\n\n" + _table(("promise", "found", ""), rows)


def _planted(found: Row) -> str:
    columns = (
        "world",
        "grade",
        "findings",
        "conventional",
        "with bias ±",
        "posterior",
        "mean error",
        "wrong signs",
        "bias planted",
        "declared",
    )
    rows = [
        (
            name,
            row["grade"],
            f"{row['findings']:,}",
            _percent(row["conventional"]),
            f"{_percent(row['inclusive'])} ± {100 * row['monte_carlo_error']:.1f}",
            _percent(row["posterior"]),
            f"{row['mean_error']:+.3f}",
            _percent(row["wrong_sign"]),
            f"{row['planted_bias_sd']:.3f}",
            f"{row['declared_bias_sd']:.3f}",
        )
        for name, listed in found["planted"]["worlds"].items()
        for row in listed
    ]
    ranks = found["shrinkage"]
    return (
        f"## Level 1: planted records, {found['planted']['repetitions']:,} portfolios a world\n\n"
        + PLANTED
        + _table(columns, rows)
        + f"\n\nShrinkage: {ranks['draws']:,} effects, rank among {ranks['samples']} draws of the posterior, "
        "chi-squared over 20 bins:\n"
        f"p = {ranks['p_value']:.3f}; with the bias left out of the variance p = {ranks['p_without_bias']:.1g}."
    )


def _computed(found: Row) -> str:
    designs = list(found["computed"]["designs"].values())
    columns = (
        "design",
        "analysis",
        "R",
        "bias ±",
        "conventional",
        "with bias",
        "flagged",
        "grades",
        "grade with / without alarm",
        "flips",
        "what rang",
    )
    rows = [_design(row) for row in sorted(designs, key=lambda row: ORDER.index(row["analysis"]))]
    parts = [
        "## Level 2: micro-data, graded from the file on",
        COMPUTED,
        _table(columns, rows),
        "What no check sees, and what stands against it: the most that the design can be graded.",
        _hidden([row for row in designs if row["analysis"] == "hidden"]),
        *(part for key, title in BY_GRADE for part in (title, _table(*_by_grade(found["computed"][key])))),
        _beyond(found["computed"]["all"]),
    ]
    return "\n\n".join(parts)


def _hidden(rows: Sequence[Row]) -> str:
    """Errors without a trace: how far they reach, and the ceilings of the designs they can happen to."""
    columns = ("error", "bias", "flagged", "conventional", "with bias", "ceiling")
    return _table(
        columns,
        [
            (
                row["en"],
                _signed(row["bias"]),
                _percent(row["flagged"]),
                _percent(row["conventional"]),
                _percent(row["inclusive"]),
                ", ".join(f"{name} {level}" for name, level in row["ceilings"].items()),
            )
            for row in rows
        ],
    )


def _beyond(rows: Sequence[Row]) -> str:
    """Grades at which intervals hold less than promised, wrong analyses included, and how large errors are there."""
    beyond = [row for row in rows if row["inclusive"] < PROMISED["inclusive"]]
    if not beyond:
        return "At no grade do errors, wrong analyses included, go beyond the bias that the grade declares."
    told = "; ".join(
        f"grade {row['grade']}: {row['root_mean_square_error']:.3f} against {row['declared_bias_sd']:.3f}"
        for row in beyond
    )
    return f"""**The bias that grades declare is smaller than what these designs carry, wrong ones included** (root mean
square error, that of sampling in it, against declared bias): {told}.
The declared biases are those of the literature, in which few analyses are as wrong as the ones made up here; they are
not widened to fit what was planted."""


def _design(row: Row) -> tuple[object, ...]:
    means = (_mean_grade(row["mean_grade"][kind]) for kind in ("flagged", "silent"))
    return (
        row["en"],
        row["analysis"],
        row["repetitions"],
        f"{_signed(row['bias'])} ± {row['bias_error']:.3f}" if row["bias_error"] is not None else "–",
        _percent(row["conventional"]),
        _percent(row["inclusive"]),
        _percent(row["flagged"]),
        ", ".join(f"{grade}: {count}" for grade, count in row["grades"].items()),
        " / ".join(means),
        f"{row['flips']} of {row['graded_twice']}",
        ", ".join(f"{name} {count}" for name, count in row["alarms"].items()) or "nothing",
    )


def _mean_grade(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _by_grade(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    columns = (
        "grade",
        "findings",
        "conventional",
        "with bias ±",
        "mean error",
        "root mean square",
        "declared",
        "wrong signs",
    )
    return columns, [
        (
            row["grade"],
            row["findings"],
            _percent(row["conventional"]),
            f"{_percent(row['inclusive'])} ± {100 * row['monte_carlo_error']:.1f}",
            _signed(row["mean_error"]),
            f"{row['root_mean_square_error']:.3f}",
            f"{row['declared_bias_sd']:.3f}",
            _percent(row["wrong_sign"]),
        )
        for row in rows
    ]


def _real(found: Row) -> str:
    columns = (
        "trial",
        "compared with",
        "method",
        "grade",
        "observational",
        "trial's",
        "difference",
        "usual interval",
        "with bias",
        "alarm",
    )
    rows = [
        (
            row["trial"],
            row["comparison"],
            row["method"],
            row["grade"],
            f"{row['estimate']:.3f} ({row['std_error']:.3f})",
            f"{row['trial_estimate']:.3f} ({row['trial_std_error']:.3f})",
            _signed(row["difference"]),
            "holds" if row["held_conventional"] else "misses",
            "–" if row["held"] is None else "holds" if row["held"] else "misses",
            ", ".join(row["rang"]) or "–",
        )
        for row in found["within_study"]["comparisons"]
    ]
    graded = [_graded(row) for row in found["within_study"]["grades"]]
    return "\n\n".join(["## Real trials beside what imitates them", REAL, _table(columns, rows), *graded])


def _graded(row: Row) -> str:
    return (
        f"Grade {row['grade']}: {row['comparisons']} comparisons, root mean square difference "
        f"{row['root_mean_square']:.3f} (largest {row['largest']:.3f}), declared bias {row['declared_bias_sd']};\n"
        f"the usual interval holds the trial's estimate in {row['held_conventional']}, the one with bias in "
        f"{row['held']}; an alarm rings in {row['flagged']}."
    )


def _meaning() -> str:
    return """## What it means

* A row that fails is left as it is; the bounds were set by the issue and the note before anything was run.
* *Level 1 is as good as its planting.* Grades declare at least the bias that was planted there, because losses for
  other reasons than bias
  (precision, reporting) lower the grade as well. That the planted biases are those of the world rests on the
  literature named in `planted.py`.
* *A wrong analysis is not repaired by a wider interval.* People who are lost because they do badly, an instrument that
  acts directly, people who choose their side of a threshold: biases beyond those that grades declare. There the alarm
  is what a reader needs, and the interval should not be read beside it.
* *What leaves no trace is not seen*, whatever is tested: the line of the hidden errors. Their size is ours, so that
  coverage among them measures our choice and nothing else; that it can happen is why designs have ceilings.
* *Matching without replacement* is listed as wrong since rubric 1.3: all that matters is measured, but with two of five
  treated not everybody finds a partner alike, and the usual interval does not hold what it promises. Nothing tests it.
* *A low grade is not an alarm.* Two-period differences and matching are graded 1 or 2 whether or not anything is
  wrong: the grade says that nobody could tell. An alarm does not lower the grade by itself; the checks that ring do.
* *The placebo on the outcome before* still costs a level where the analysis adjusts for that outcome (design “the
  outcome before bears on the choice”). It is no alarm there, since the analysis does not need what it tests.
* *Where false alarms come from.* Two of the right designs ring far too often. States: the joint test of trends has
  nearly as many restrictions as there are clusters, and a Wald test then rejects too often whatever is true: the
  test itself is not of its size, and Holm cannot mend that. Synthetic control: a fit is spoilt by noise alone,
  and a fact has no sampling error to be judged by. Both are left as they are until the checks are mended.
* *Where no test exists* (matching that adjusts for the outcome before) nothing can ring: silence is no proof.
* *Real comparisons* are few, of two trials, of grades 1 and 2: they cannot show an order of grades."""


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")
