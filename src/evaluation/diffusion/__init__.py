"""How far innovations reach: the share of the need that is covered, in France and in each test territory."""
