"""The Batch API: conversations that can wait go to files, are answered within a day at half the price, and come home.

What belongs here: choosing what waits, files and their lines, the state of open batches on disk, submitting, polling,
collecting into the journal. What does not: online calls (`requests`), when Dagster polls (`collecting`).
"""
