"""data/portfolio/finance.yaml: who may pay for which tranche, each fact with its source.

A ticket is what an instrument is known to pay for one project; where no source gives one it is left out, and reports
say that it is not known. A fact that was recalled from memory is marked so and shown so.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AllowInfNan, Field, model_validator

from evaluation.settings.documents import read_document
from evaluation.settings.fact_tables import FOLDER
from evaluation.settings.fields import Frozen, Slug, refusal
from evaluation.settings.learning import Tranche
from evaluation.settings.sourced import Address, Confidence, FrenchName, FrenchNote, Name, Note

FILE = f"{FOLDER}/finance.yaml"

Euros = Annotated[float, Field(ge=0), AllowInfNan(False)]


class Ticket(Frozen):
    """What an instrument may pay in one tranche.

    Attributes:
        low, high: euros for one project; None where no source gives a bound.
        what_fr, what_en: what is paid, in the words of the source.
        confidence: of these amounts.
    """

    tranche: Tranche
    low: Euros | None = None
    high: Euros | None = None
    what_fr: FrenchName
    what_en: Name
    confidence: Confidence

    @model_validator(mode="after")
    def _in_order(self) -> "Ticket":
        if self.low is not None and self.high is not None and self.low > self.high:
            raise refusal(
                "E-SET-320",
                "the smallest ticket is larger than the largest",
                found=f"low {self.low:g}, high {self.high:g}",
                expected="low ≤ high",
                key="low",
            )
        return self


class Instrument(Frozen):
    """One way to pay for an innovation in France.

    Attributes:
        here: whether a project in a French territory may ask: yes, no, or unknown (to be asked).
        rule_fr, rule_en: a rule that goes with it (who may ask, tax), with its own mark of confidence.
    """

    id: Slug
    label_fr: FrenchName
    label_en: Name
    kind: Literal["public_fund", "foundation", "outcomes_contract", "companies", "savings", "local", "state"]
    here: Literal["yes", "no", "unknown"]
    pays: Annotated[tuple[Ticket, ...], Field(min_length=1)]
    rule_fr: FrenchNote = ""
    rule_en: Note = ""
    rule_confidence: Confidence = "recalled"
    source_title: Note = ""
    source_address: Address = ""
    confidence: Confidence

    @model_validator(mode="after")
    def _sourced_and_once(self) -> "Instrument":
        if not self.source_address and self.confidence not in ("recalled", "claim"):
            raise refusal(
                "E-SET-321",
                "an instrument needs the address of its source",
                found="nothing",
                expected="an address, or confidence recalled or claim",
                key="source_address",
            )
        if bool(self.rule_fr) is not bool(self.rule_en):
            raise refusal(
                "E-SET-322",
                "a rule stands in one language only",
                found=f"rule_fr {self.rule_fr!r}, rule_en {self.rule_en!r}",
                expected="both, or neither",
                key="rule_en",
            )
        return self


class Finance(Frozen):
    """Everything in finance.yaml."""

    instruments: Annotated[tuple[Instrument, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids(self) -> "Finance":
        twice = [key for key, count in Counter(row.id for row in self.instruments).items() if count > 1]
        if twice:
            raise refusal(
                "E-SET-323", "an id stands twice", found=repr(twice[0]), expected="each once", key="instruments"
            )
        return self

    def paying(self, tranche: Tranche) -> tuple[Instrument, ...]:
        """Instruments that may pay a tranche, those that are known not to serve French territories left out."""
        return tuple(
            row for row in self.instruments if row.here != "no" and any(each.tranche == tranche for each in row.pays)
        )


def read_finance(root: Path | None = None) -> Finance:
    """The finance map.

    Args:
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
        StaleError: the file is missing.
    """
    return read_document(Finance, FILE, root)[0]
