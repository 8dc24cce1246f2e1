"""Tables of a finding chosen by the beginning of their names, or the reason why there are none."""

import pandas as pd

from evaluation.impact.finding_tables import named


def test_tables_are_chosen_by_name_and_keep_their_order() -> None:
    tables = {
        "complier_effects": pd.DataFrame({"estimate": [1.0], "reason": [None]}),
        "means": pd.DataFrame({"mean": [2.0]}),
        "compliers": pd.DataFrame({"share": [0.5]}),
        "complier_profile": pd.DataFrame({"share": []}),
    }
    found = named(tables, "complier", otherwise="nothing")
    assert [table.columns.name for table in found] == ["complier effects", "compliers"]
    assert found[0].columns.tolist() == ["estimate"]  # a column without any value is left out
    assert "reason" in tables["complier_effects"]


def test_without_a_table_the_reason_is_said() -> None:
    (table,) = named({"means": pd.DataFrame({"mean": [2.0]})}, "attrition_", otherwise="no roster is named")
    assert table["reason"].tolist() == ["no roster is named"]
