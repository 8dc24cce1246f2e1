"""`python -m evaluation` is `evaluation`."""

from evaluation.cli import main

main()
