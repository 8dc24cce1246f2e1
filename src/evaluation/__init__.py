"""Which social innovations deserve to be scaled: from data to effects, evidence grades, decisions and reports."""
