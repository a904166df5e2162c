"""Running an evaluation: prompts and models asked about cases, answers measured, kept, judged and shown. No Dagster."""
