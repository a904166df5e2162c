"""The asset graph: one thin module per stage. It knows Dagster and holds no logic.

Each module's `build` makes its assets for given partitions; `semtel_dagster.definitions` puts them together.
"""
