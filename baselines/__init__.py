"""Comparison systems, a folder each: the declaration in `__init__.py`, the network in `network.py`."""
