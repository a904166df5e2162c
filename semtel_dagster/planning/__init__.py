"""What is to be done, and what it costs: recorded state against the current one, over all weeks and classifiers."""
