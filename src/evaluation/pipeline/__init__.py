"""From params.yaml to reports: who runs when, what is fresh, and how evaluations share the machine."""
