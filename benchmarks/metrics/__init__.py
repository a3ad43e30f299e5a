"""Compute scores from counts of pixels, calibration histograms, and object metrics."""
