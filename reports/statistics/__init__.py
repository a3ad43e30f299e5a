"""Compute intervals, spreads and tests: arrays in, numbers out."""
