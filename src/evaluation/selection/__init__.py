"""What to decide about each innovation, by which rule, and what would change it."""
