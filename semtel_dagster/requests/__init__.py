"""The request engine: endpoints, limits, transport, retries, the journal. No Dagster."""
