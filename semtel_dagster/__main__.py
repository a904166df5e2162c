"""`python -m semtel_dagster` is the semtel command. Nothing else belongs here."""

from semtel_dagster.cli import main

main()
