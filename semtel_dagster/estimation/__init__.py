"""Estimates from labels: shares with intervals, changes between weeks, and disclosure control.

Everything here works on small tables and numbers, never on conversations. The group-bys that make those tables
belong in `stages/aggregate.py`, how estimates are shown in `reporting/`.
"""
