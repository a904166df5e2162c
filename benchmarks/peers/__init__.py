"""Clients that `classify_cpu.py` and others measure beside ours: one script each, run in an environment of its own."""
