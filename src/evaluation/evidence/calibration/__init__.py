"""Do grades mean what they say? Planted truth through the code that grades, and real trials beside what imitates them.

`planted`: records with a known truth (level 1); `computed`: micro-data with a known truth, through samples, estimates
and records, so that the grade itself is computed (level 2); `shrinkage`: whether posteriors are what they claim to be;
`within_study`: real trials beside observational comparisons; `results`: the committed file; `page`:
docs/calibration.md; `card`: what belongs beside one finding.
"""
