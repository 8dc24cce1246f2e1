"""Which jobs are raced, against whom, and what is asked of us. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from measure import Numbers, Program

DRAWS = 999
WILD_DRAWS = 9_999
FROM_UNITS = 200_000  # targets for difference-in-differences hold from here on
FROM_PEOPLE = 100_000  # targets for weighting hold from here on
MEMORY_TARGET = 0.7  # of the fastest peer's peak

# Largest gap to ours that still counts as the same number: absolute for estimates and p-values, else relative.
# Errors by draws, and p-values, differ by chance: 4 % is one standard deviation for an interquartile range of 999
# draws, and the largest of 58 is shown; the standard deviation of the difference of two p-values is at most 0.7 %.
TOLERANCES = {
    "estimate": 1e-9,
    "std_error": 1e-7,
    "all_counted_error": 1e-7,
    "statistic": 1e-7,
    "drawn_error": 0.20,
    "p_value": 0.03,
}
ABSOLUTE = ("estimate", "p_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A program in a race.

    Attributes:
        name: as shown.
        maker: function of ours.py or peers.py, "module:function".
        target: how many times as fast as the fastest peer it is to be; None for peers, and where nothing is asked.
        tolerances: other than `TOLERANCES`.
        why: reason for them.
    """

    name: str
    maker: str
    target: float | None = None
    tolerances: Mapping[str, float] = field(default_factory=dict)
    why: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is one of our programs."""
        return self.maker.startswith("ours:")

    def tolerance(self, measure: str) -> float:
        """Largest gap that counts as equal."""
        return self.tolerances.get(measure, TOLERANCES[measure])


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One job for several programs; the first is ours, and all others run in turns with it.

    Attributes:
        name: for `--only`.
        title: what is done.
        family: races that differ in size only have the same.
        size: grows with the work.
        job: arguments of the makers.
        contenders: ours first.
        memory_target: share of the fastest peer's peak; None where nothing is asked.
    """

    name: str
    title: str
    family: str
    size: int
    job: Mapping[str, Any]
    contenders: tuple[Contender, ...]
    memory_target: float | None = None


def make(maker: str, job: Mapping[str, Any]) -> Program:
    """The program, in the child that runs it."""
    module, _, function = maker.partition(":")
    made = getattr(import_module(module), function)(**job)
    assert isinstance(made, Program)  # noqa: S101 - for mypy
    return made


def gaps(ours: Numbers, theirs: Numbers) -> dict[str, float]:
    """Largest gap by measure, over what both have; infinite where they have nothing in common."""
    found = {}
    for measure in theirs:
        mine, other = ours.get(measure, {}), theirs[measure]
        both = [(mine[label], other[label]) for label in other if label in mine]
        one = measure in ABSOLUTE
        found[measure] = max((abs(b - a) / (1.0 if one else abs(a)) for a, b in both), default=float("inf"))
    return found


def in_common(ours: Numbers, theirs: Numbers) -> tuple[int, int]:
    """How many of our numbers the other has, among the measures that it has."""
    mine = sum(len(ours.get(measure, {})) for measure in theirs)
    both = sum(label in ours.get(measure, {}) for measure in theirs for label in theirs[measure])
    return both, mine


# the races ------------------------------------------------------------------------------------------------------------


def races(*, quick: bool, largest: bool) -> list[Race]:
    """All of them, each family from the smallest to the largest size."""
    sizes = [2_000] if quick else [10_000, 200_000, *([1_000_000] if largest else [])]
    rows = 100_000 if quick else 2_000_000
    return [
        *(race for size in sizes for race in staggered(size)),
        *(fixed_effects(rows, balanced=balanced) for balanced in (True, False)),
        wild(rows=20_000, draws=WILD_DRAWS),
        *(synthetic(treated) for treated in (1, 3)),
        specifications(200 if quick else 2_000),
        graded(500 if quick else 10_000),
        decided(50 if quick else 1_000),
        nearest(10_000 if quick else 100_000),
        *(race for number in _people(quick=quick, largest=largest) for race in matched(number)),
        *(race(number) for race in (balancing, doubly_robust) for number in _people(quick=quick, largest=largest)),
    ]


def staggered(units: int) -> list[Race]:
    """Difference-in-differences of one size: order of rows, covariates, draws."""
    return [
        _staggered(units, covariates=0, shuffled=False, target=8),
        _staggered(units, covariates=0, shuffled=True, target=5),
        _staggered(units, covariates=4, shuffled=False, target=4),
        _staggered(units, covariates=4, shuffled=True, target=4),
        _staggered(units, covariates=0, shuffled=False, target=8, draws=DRAWS),
        _staggered(units, covariates=4, shuffled=False, target=8, draws=DRAWS),
    ]


def _staggered(units: int, *, covariates: int, shuffled: bool, target: float, draws: int = 0) -> Race:
    size = f"{units // 1_000_000}m" if units >= 1_000_000 else f"{units // 1000}k"
    family = "-".join(
        ["did", *(["dr"] if covariates else []), "shuffled" if shuffled else "sorted", *(["draws"] if draws else [])]
    )
    what = "4 covariates, doubly robust" if covariates else "no covariates"
    how = f"{draws} two-point draws per unit and uniform bands" if draws else "analytic"
    order = "shuffled" if shuffled else "sorted"
    asked = units >= FROM_UNITS
    return Race(
        name=f"{family}-{size}",
        title=f"Staggered difference-in-differences, {units:,} units x 10 periods, {order} rows, {what}, {how}",
        family=family,
        size=units,
        job={"units": units, "covariates": covariates, "shuffled": shuffled, "draws": draws},
        contenders=(
            Contender(name="evaluation", maker="ours:staggered", target=target if asked else None),
            *([_gaussian(asked and not covariates)] if draws else []),
            *_staggered_peers(covariates, 1e-5 if asked else 1e-4),
        ),
        memory_target=MEMORY_TARGET if asked else None,
    )


def _gaussian(asked: bool) -> Contender:
    """Asked without covariates alone: with them the estimates take more than a fiftieth of the peers' draws."""
    return Contender(
        name="evaluation, Gaussian law",
        maker="ours:staggered_gaussian",
        target=50 if asked else None,
        why="another law: as many draws from N(0, V), V the estimated covariance; no unit is drawn",
    )


def _staggered_peers(covariates: int, gap: float) -> tuple[Contender, ...]:
    loose = {"estimate": gap, "std_error": gap} if covariates else {}
    why = (
        "its doubly robust numbers are off from those of csdid and R's did, which ours equal; with fewer units, more so"
    )
    return (
        Contender(name="diff-diff", maker="peers:diff_diff", tolerances=loose, why=why if covariates else ""),
        Contender(name="csdid", maker="peers:csdid"),
        Contender(name="moderndid", maker="peers:moderndid"),
        Contender(name="differences", maker="peers:differences"),
    )


def fixed_effects(rows: int, *, balanced: bool) -> Race:
    """Two-way fixed effects; an unbalanced panel lacks a tenth of the rows."""
    kind = "balanced" if balanced else "unbalanced"
    asked = rows >= 10 * FROM_UNITS
    target = 12.0 if balanced else 1.0
    return Race(
        name=f"two-way-{kind}",
        title=f"Two-way fixed effects, {rows:,} rows{'' if balanced else ' less a tenth'}, {kind}, 2 regressors, "
        "clustered by unit",
        family=f"two-way-{kind}",
        size=rows,
        job={"rows": rows, "balanced": balanced},
        contenders=(
            Contender(name="evaluation", maker="ours:fixed_effects", target=target if asked else None),
            _pyfixest("rust"),
            _pyfixest("numba"),
            Contender(
                name="linearmodels",
                maker="peers:linearmodels",
                why="its errors count the constants of units as coefficients; compared with ours under that convention",
            ),
        ),
    )


def _pyfixest(engine: str) -> Contender:
    return Contender(
        name=f"pyfixest ({engine})",
        maker=f"peers:pyfixest_{engine}",
        tolerances={"estimate": 1e-6, "std_error": 1e-6},
        why="it stops taking means out when they move by less than 1e-6",
    )


def wild(*, rows: int, draws: int) -> Race:
    """The wild cluster bootstrap of one coefficient."""
    return Race(
        name="wild",
        title=f"Wild cluster bootstrap (WCR11), {rows:,} rows, 50 clusters, {draws:,} draws, fit included",
        family="wild",
        size=rows,
        job={"rows": rows, "clusters": 50, "draws": draws},
        contenders=(
            Contender(name="evaluation", maker="ours:wild", target=8),
            Contender(name="wildboottest", maker="peers:wildboottest"),
        ),
    )


def synthetic(treated: int) -> Race:
    """Synthetic difference-in-differences on a panel as large as that of California's Proposition 99."""
    return Race(
        name=f"synthetic-{treated}",
        title=f"Synthetic difference-in-differences, 39 units x 31 periods, {treated} treated, 200 placebo draws",
        family=f"synthetic-{treated}",
        size=39 * 31,
        job={"units": 39, "periods": 31, "treated": treated, "draws": 200},
        contenders=(
            Contender(name="evaluation", maker="ours:synthetic", target=1),
            Contender(
                name="diff-diff",
                maker="peers:diff_diff_synthetic",
                tolerances={"estimate": 0.02},
                why="it stops its path early, ours is exact (by that path 12 digits agree, "
                "test_impact_synthetic_prop99.py); of one treated unit it draws 200 times from the 38 placebos",
            ),
        ),
    )


def specifications(units: int) -> Race:
    """A specification curve; asked is at most 20 s for 1,000 on 20,000 rows, and no peer does it."""
    return Race(
        name="specifications",
        title=f"Specification curve, 1,152 difference-in-differences on {10 * units:,} rows, with their joint test",
        family="specifications",
        size=units,
        job={"units": units},
        contenders=(Contender(name="evaluation", maker="ours:specifications"),),
    )


def graded(records: int) -> Race:
    """Grades and foreign schemes; asked is at most 2 s for 10,000 records, and no peer does it."""
    return Race(
        name="graded",
        title=f"Grades with their sentences, and ten foreign schemes, of {records:,} records",
        family="graded",
        size=records,
        job={"records": records},
        contenders=(Contender(name="evaluation", maker="ours:graded"),),
    )


def decided(portfolios: int) -> Race:
    """From records to decisions; asked is at most 60 s on two cores for 1,000 portfolios, and no peer does it."""
    return Race(
        name="decided",
        title=f"{portfolios:,} planted portfolios of 20 through grades, the value of a test and decisions",
        family="decided",
        size=portfolios,
        job={"portfolios": portfolios},
        contenders=(Contender(name="evaluation", maker="ours:decided"),),
    )


def nearest(number: int) -> Race:
    """Matching on the propensity score."""
    return Race(
        name="nearest",
        title=f"Nearest neighbour with replacement, {number:,} people, 8 covariates, score (ours: and error) included",
        family="nearest",
        size=number,
        job={"number": number},
        contenders=(
            Contender(name="evaluation", maker="ours:nearest"),
            Contender(
                name="scikit-learn",
                maker="peers:scikit_learn",
                tolerances={"estimate": 1e-6},
                why="scores differ in the last digits, and so may ties",
            ),
        ),
    )


def _people(*, quick: bool, largest: bool) -> list[int]:
    return [10_000] if quick else [10_000, 100_000, *([1_000_000] if largest else [])]


def matched(number: int) -> list[Race]:
    """Matching of several kinds; score, effect and (ours) standard error included."""
    kinds: dict[str, tuple[str, dict[str, Any], float]] = {
        "once": ("one partner without replacement", {}, 40),
        "caliper": ("one partner without replacement, caliper 0.2", {"caliper": 0.2}, 40),
        "three": ("three partners without replacement", {"ratio": 3}, 40),
        "replace": ("one partner with replacement", {"replace": True}, 2),
        "mahalanobis": ("Mahalanobis with replacement", {"distance": "mahalanobis", "replace": True}, 4),
    }
    asked = number >= FROM_PEOPLE
    return [
        Race(
            name=f"matched-{name}-{_size(number)}",
            title=f"Matching, {number:,} people, 8 covariates: {what}",
            family=f"matched-{name}",
            size=number,
            job={"number": number, "options": options},
            contenders=(
                Contender(name="evaluation", maker="ours:matched", target=target if asked else None),
                *_matched_peers(name),
            ),
        )
        for name, (what, options, target) in kinds.items()
    ]


def _matched_peers(name: str) -> tuple[Contender, ...]:
    near = {"tolerances": {"estimate": 1e-4}, "why": "scores differ in the last digits, and so do a few partners"}
    pymatchit = Contender(name="pymatchit-causal", maker="peers:pymatchit", **near)
    causalml = Contender(
        name="causalml",
        maker="peers:causalml",
        tolerances={"estimate": 0.2},
        why="without replacement it goes through units in an order of its own, so that other partners are left",
    )
    by_hand = Contender(name="scikit-learn", maker="peers:scikit_learn_matched", **near)
    if name in ("replace", "mahalanobis"):
        return (by_hand, pymatchit, causalml) if name == "replace" else (by_hand, pymatchit)
    return (pymatchit, causalml)


def balancing(number: int) -> Race:
    """Entropy balancing of the untreated to the means of the treated."""
    return Race(
        name=f"balancing-{_size(number)}",
        title=f"Entropy balancing, {number:,} people, 8 covariates, effect and its error included",
        family="balancing",
        size=number,
        job={"number": number},
        contenders=(
            Contender(name="evaluation", maker="ours:balancing", target=6 if number >= FROM_PEOPLE else None),
            Contender(
                name="ebal",
                maker="peers:ebal",
                tolerances={"estimate": 1e-4},
                why="it stops when means differ by less than 1e-4; ours differ by less than 1e-10 standard deviations",
            ),
        ),
    )


def doubly_robust(number: int) -> Race:
    """Doubly robust effect with linear outcomes and a logit score, cross-fitted."""
    return Race(
        name=f"doubly-robust-{_size(number)}",
        title=f"Doubly robust effect on everybody, {number:,} people, 8 covariates, linear and logit, 5 folds",
        family="doubly-robust",
        size=number,
        job={"number": number},
        contenders=(
            Contender(name="evaluation", maker="ours:doubly_robust", target=5 if number >= FROM_PEOPLE else None),
            Contender(
                name="doubleml",
                maker="peers:doubleml",
                tolerances={"estimate": 5e-3, "std_error": 5e-2},
                why="its folds are drawn otherwise; with the same folds 13 digits agree (test_impact_doubly_robust.py)",
            ),
        ),
    )


def _size(number: int) -> str:
    return f"{number // 1_000_000}m" if number >= 1_000_000 else f"{number // 1000}k"
