"""What of the calibration belongs beside one finding; imports nothing that estimates, since pages use it."""

from collections.abc import Mapping
from typing import Any


def card(found: Mapping[str, Any], design_class: str, grade: int) -> dict[str, Any] | None:
    """What belongs beside one finding: coverage at its grade, and on the simulated designs most like its own.

    Args:
        found: the file.
        design_class: of the finding.
        grade: of the finding.

    Returns:
        `grade`: the row of world W1 for this grade; `designs`: those analysed rightly that stand for this class of
        design; `hidden`: those wrong without a trace, which can happen to it; `silent`: the row of micro-data of this
        grade in which nothing rang, hidden errors too, None where there is none. None altogether for grade 0, which
        claims nothing, and where there is no file.
    """
    rows = found.get("planted", {}).get("worlds", {}).get("W1", [])
    row = next((each for each in rows if each["grade"] == grade), None)
    if row is None:
        return None
    computed = found.get("computed", {})
    alike = [each for each in computed.get("designs", {}).values() if design_class in each["stands_for"]]
    return {
        "grade": row,
        "designs": [each for each in alike if each["analysis"] == "right"],
        "hidden": [each for each in alike if each["analysis"] == "hidden"],
        "silent": next((each for each in computed.get("silent", ()) if each["grade"] == grade), None),
        "repetitions": found["planted"]["repetitions"],
    }
