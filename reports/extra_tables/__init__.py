"""Make the tables beyond the paper's: objects, calibration, speed, other data sets."""
