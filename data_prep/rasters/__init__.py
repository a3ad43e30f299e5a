"""Cut large georeferenced rasters into tiles by windowed reads."""
