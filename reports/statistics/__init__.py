"""Intervals, spreads and tests, from arrays to numbers."""
