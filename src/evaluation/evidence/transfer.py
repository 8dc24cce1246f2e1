"""Letters A to D: does a finding made elsewhere speak of this territory? From coded facts and nothing else.

Five domains are looked at, each the same, partly the same, different, or unknown:

    country     where the study was made
    setting     urban or rural
    people      how alike those of the study and of the territory are (impact/transport.py, where micro-data allow)
    programme   whether what was tried exists in the country, and who runs it
    time        how old the study is

A difference costs a letter, another country two. Two things that are partly the same or unknown cost one together;
people whom nobody has compared cost one by themselves, so that A takes micro-data. A measured index costs what its own
letter says, and people who are not comparable give D outright. D means: no number is carried.

Source: GRADE, indirectness (Guyatt et al. 2011, *Journal of Clinical Epidemiology* 64(12)); Tipton (2014) and R
    generalizeR for the bounds of the index; the cost of the other domains is a house rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation import store
from evaluation.errors import InternalError, ParametersError, StaleError
from evaluation.evidence.record import Record, Transfer
from evaluation.settings.facts import Innovation, Territory
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.transfer import TransferPolicy

Letter = Literal["A", "B", "C", "D"]
State = Literal["same", "partly", "different", "unknown"]
Pair = tuple[str, str]

LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D")
SEVERAL = ("World", "countries")  # a country column that names no single country
COSTS: Mapping[State, float] = {"same": 0.0, "partly": 0.5, "different": 1.0, "unknown": 0.5}
CARRIED = ("effect", "sign_only")  # kinds of records that say something that could hold elsewhere
FILE = "transfer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One thing that was looked at.

    Attributes:
        domain: country, setting, people, programme or time.
        state: how alike.
        cost: letters that it takes away.
        fr, en: what is known, in words.
    """

    domain: str
    state: State
    cost: float
    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The letter of one finding in one territory, with its reasons.

    Attributes:
        finding, innovation, territory: ids.
        index: generalizability index, None where nobody has the micro-data.
        domains: in the order of the module.
    """

    finding: str
    innovation: str
    territory: str
    letter: Letter
    index: float | None
    domains: tuple[Domain, ...]


def assess(record: Record, innovation: Innovation, territory: Territory, policy: TransferPolicy) -> Assessment:
    """The letter of one finding in one territory.

    Args:
        record: the finding.
        innovation: that it speaks of.
        territory: that it would be carried to.
        policy: the `transfer:` section of params.yaml.
    """
    measured = _measured(record, territory)
    domains = (
        _country(record, policy),
        _setting(record, territory),
        _people(measured, policy),
        _programme(record, innovation, policy),
        _time(record, policy),
    )
    return Assessment(
        finding=record.id,
        innovation=innovation.id,
        territory=territory.id,
        letter=letter(domains),
        index=None if measured is None else measured.index,
        domains=domains,
    )


def letter(domains: Sequence[Domain]) -> Letter:
    """A less what the domains cost, the sum rounded down; never below D."""
    return LETTERS[min(int(sum(domain.cost for domain in domains)), len(LETTERS) - 1)]


def people_letter(index: float, coverage: float, largest_difference: float, policy: TransferPolicy) -> Letter:
    """What measured people allow: index, share of the territory that the study covers, and for A every moderator."""
    for name in ("A", "B", "C"):
        enough = index >= policy.index[name] and coverage >= policy.coverage[name]
        if enough and (name != "A" or largest_difference <= policy.largest_difference):
            return name
    return "D"


def assess_all(records: Sequence[Record], portfolio: Portfolio, policy: TransferPolicy) -> tuple[Assessment, ...]:
    """All findings on which something is decided, in all test territories, sorted."""
    known = {each.id: each for each in portfolio.decision_innovations}
    carried = [each for each in records if each.kind in CARRIED and each.innovation in known]
    return tuple(
        assess(record, known[str(record.innovation)], territory, policy)
        for record in sorted(carried, key=lambda record: record.id)
        for territory in portfolio.test_territories
    )


# the five domains -----------------------------------------------------------------------------------------------------


def _country(record: Record, policy: TransferPolicy) -> Domain:
    found = record.source.country
    if not found:
        return _domain("country", "unknown", ("pays de l'étude non indiqué", "country of the study not stated"))
    if found == policy.country:
        return _domain("country", "same", (f"étude menée en {found}", f"study made in {found}"))
    if any(word in found for word in SEVERAL):
        told = ("étude réunissant plusieurs pays", "study of several countries together")
        return _domain("country", "partly", told)
    return _domain("country", "different", ("étude menée dans un autre pays", f"study made in {found}"), cost=2.0)


def _setting(record: Record, territory: Territory) -> Domain:
    kind, here = record.territory_kind, territory.kind
    if kind == here:
        same = {"urban": ("étude et territoire urbains", "both urban"), "rural": ("tous deux ruraux", "both rural")}
        return _domain("setting", "same", same[here])
    if kind in ("urban", "rural"):
        told = {"urban": ("étude urbaine, territoire rural", "study urban, territory rural")}
        return _domain(
            "setting", "different", told.get(kind, ("étude rurale, territoire urbain", "study rural, territory urban"))
        )
    if kind == "mixed":
        return _domain(
            "setting",
            "partly",
            ("étude en ville et à la campagne, sans les distinguer", "study in town and country together"),
        )
    return _domain("setting", "unknown", ("milieu de l'étude non indiqué", "setting of the study not stated"))


def _people(measured: Transfer | None, policy: TransferPolicy) -> Domain:
    if measured is None:
        told = (
            "personne n'a comparé le public de l'étude à celui d'ici",
            "nobody has compared the study's people with those here",
        )
        return _domain("people", "unknown", told, cost=1.0)
    level = people_letter(measured.index, measured.coverage, measured.largest_difference or 0.0, policy)
    cost = float(LETTERS.index(level))
    states: Mapping[str, State] = {"A": "same", "B": "partly", "C": "partly", "D": "different"}
    share, index = f"{measured.coverage * 100:.0f}", f"{measured.index:.2f}"
    told = (
        f"indice de généralisation {index.replace('.', ',')}, {share} % du public d'ici a son semblable dans l'étude",
        f"generalizability index {index}, {share}% of the people here have their like in the study",
    )
    return _domain("people", states[level], told, cost=cost)


def _programme(record: Record, innovation: Innovation, policy: TransferPolicy) -> Domain:
    if not innovation.in_france:
        return _domain("programme", "different", ("programme absent de France", "no such programme in France"))
    if record.source.country != policy.country:
        told = ("programme présent en France, mais essayé ailleurs", "programme present in France, but tried elsewhere")
        return _domain("programme", "partly", told)
    if innovation.family:
        return _domain("programme", "partly", ("famille de programmes, pas un seul", "a family of programmes, not one"))
    if innovation.operator is None:
        return _domain("programme", "unknown", ("opérateur non indiqué", "operator not stated"))
    return _domain(
        "programme",
        "same",
        ("programme présent en France, opérateur connu", "programme present in France, operator known"),
    )


def _time(record: Record, policy: TransferPolicy) -> Domain:
    year = record.source.year
    if year is None:
        return _domain("time", "unknown", ("année de l'étude non indiquée", "year of the study not stated"))
    age = policy.as_of - year
    state: State = "same" if age <= policy.recent_years else "partly" if age <= policy.old_years else "different"
    return _domain("time", state, (f"étude publiée en {year}", f"study published in {year}"))


def _domain(name: str, state: State, told: Pair, *, cost: float | None = None) -> Domain:
    return Domain(domain=name, state=state, cost=COSTS[state] if cost is None else cost, fr=told[0], en=told[1])


def _measured(record: Record, territory: Territory) -> Transfer | None:
    """What micro-data say of this territory; those of another place say nothing of it."""
    return record.transfer if record.transfer is not None and record.transfer.target == territory.id else None


# the file -------------------------------------------------------------------------------------------------------------


def policy_of(policy: TransferPolicy | None) -> TransferPolicy:
    """The section, which must be there.

    Raises:
        ParametersError: there is none.
    """
    if policy is None:
        raise ParametersError(
            code="E-EVI-111",
            what="Nothing says when a finding may be carried to a territory.",
            where="params.yaml",
            found="no section 'transfer'",
            expected="transfer: {version: …, index: {A: …, B: …, C: …}, …}",
            fix="restore the section from the repository",
        )
    return policy


def write(assessments: Sequence[Assessment], left_out: Sequence[Mapping[str, Any]]) -> Path:
    """Write data/evidence/transfer.json; return its path.

    Raises:
        InternalError: a finding stands twice in one territory.
    """
    keys = [(each.finding, each.territory) for each in assessments]
    if len(set(keys)) < len(keys):
        raise InternalError(
            code="E-EVI-112",
            what="a finding has two letters in one territory",
            where=f"data/evidence/{FILE}",
            found=str(next(key for key in keys if keys.count(key) > 1)),
            expected="one letter for each finding and territory",
        )
    file = store.path("data", "evidence", FILE)
    store.write_json(file, {"letters": [asdict(each) for each in assessments], "left_out": list(left_out)})
    return file


def read() -> dict[tuple[str, str], Letter]:
    """Letters by finding and territory.

    Raises:
        StaleError: the file is not there, or is not what this version writes.
    """
    found = store.read_json(store.path("data", "evidence", FILE))
    try:
        return {(row["finding"], row["territory"]): row["letter"] for row in found["letters"]}
    except (KeyError, TypeError) as error:
        raise StaleError(
            code="E-EVI-113",
            what="The letters of transfer are of another version.",
            where=f"data/evidence/{FILE}",
            found=f"no {error}",
            expected="letters: [{finding, territory, letter}]",
            fix="run the evidence stage again",
        ) from error
