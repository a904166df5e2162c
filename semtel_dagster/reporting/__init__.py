"""Tables for the terminal, charts and the weekly HTML report. No Dagster."""
