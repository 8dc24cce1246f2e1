"""Documents to print or to project: notes, dossiers, the full report and slides, by typst, from the views of the pages.

`plain` turns a view into data that a template can show, `press` makes the PDF, `documents` says which documents there
are. The templates (*.typ) hold form only: every word comes from messages/*.yaml or from the view.
"""
