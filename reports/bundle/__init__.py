"""Publish results as a bundle for others, and verify such a bundle."""
