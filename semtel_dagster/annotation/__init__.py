"""Labelling conversations by hand: which ones, the page, and the notebook that loses nothing. No Dagster, no models."""
