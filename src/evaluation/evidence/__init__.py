"""How sure we are: one record per finding, and the rubric that grades it.

`record` holds everything about one finding, estimated here or published elsewhere; `published` turns what the portfolio
quotes into records; `rubric` is the table of rules in params.yaml; `grading` applies it. Records are all that later
rooms read.
"""
