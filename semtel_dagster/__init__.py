"""Semantic telemetry: what people do with an AI assistant, week by week, as trustworthy numbers.

Nothing is wired at import time; `semtel_dagster.definitions` is the composition root.
"""
