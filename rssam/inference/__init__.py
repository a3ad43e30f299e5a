"""Predict rasters of any size: tiles, blending, georeferenced outputs."""
