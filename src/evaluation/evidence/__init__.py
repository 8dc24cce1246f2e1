"""How sure we are: one record per finding, and the rubric that grades it.

`record` holds everything about one finding, estimated here or published elsewhere; `published` turns what the portfolio
quotes into records; `rubric` is the table of rules in params.yaml; `grading` applies it; `schemes` does the same by the
rules of others. Records are all that later rooms read. `effect_sizes`, `eligibility` and `overlaps` say which findings
can be numbers and which rest on the same people; `synthesis` pools them; `posterior` and `posteriors` turn grades into
what to believe; `portfolio_synthesis` writes all of it to data/evidence/synthesis.json; `worlds` checks it on
portfolios with planted truth.
"""
