"""Readers of conversation logs: formats, column mapping, validation, quarantine. No Dagster, no network client."""
