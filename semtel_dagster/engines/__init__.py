"""Compute engines behind one protocol: Polars on a machine, Spark on a cluster."""
