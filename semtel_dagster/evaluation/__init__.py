"""How good labels are: golden sets, agreement, drift, stability, verdicts, acceptance. No calls, no Dagster."""
