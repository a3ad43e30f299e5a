"""From published archives to verified, split, resized data sets; knows nothing of models."""
