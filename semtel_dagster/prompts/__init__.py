"""Prompty files: loading, rendering, fingerprints. No network, no Dagster."""
