"""Embedding models, near-duplicate search and the embedded zero-shot classifier. No Dagster."""
