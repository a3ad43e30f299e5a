"""Scores from counts of pixels, calibration histograms, and metrics of objects."""
