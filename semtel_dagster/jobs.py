"""The names of the jobs: one Dagster run prepares a week, labels a classifier's week, or publishes a week.

What is in them is decided in `definitions`; the command line and the sensors launch them by these names.
"""

PREPARE_JOB = "prepare_week"
LABEL_JOB = "label_week"
PARSE_JOB = "parse_week"  # labels and shares again from the answers that are there; asks no model
REPORT_JOB = "report_week"
