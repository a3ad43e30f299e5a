"""Publish results for others, and verify such a bundle."""
