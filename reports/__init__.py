"""Reads results and renders tables and figures; never trains."""
