"""Which needs come first: how many people live each difficulty, by whose measure, and what nobody has counted yet."""
