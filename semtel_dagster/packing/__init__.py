"""Asking in company: several classifiers in one call, several conversations in one prompt."""
