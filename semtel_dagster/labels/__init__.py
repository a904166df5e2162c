"""Raw answers to labels: extraction, cleaning, matching. No Dagster, no network."""
