"""Readers of conversation logs: public formats, column mapping, validation and quarantine. No Dagster, no network client."""
