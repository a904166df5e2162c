"""What people look at: the weekly report, tables for the terminal, charts and the DuckDB warehouse.

Figures are read from the stored tables; how they are estimated belongs in `estimation/`. No conversation text.
"""
