"""Weighted shares, intervals and disclosure control. Numbers in, numbers out."""
