"""The pipeline's stages as pure functions on frames or Arrow batches. No Dagster, no network client."""
