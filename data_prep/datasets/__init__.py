"""Data sets that are prepared: a data sheet each, with its layout and stand-ins."""
