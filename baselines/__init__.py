"""A folder for each comparison system: its declaration in `__init__.py`, its network in `network.py`."""
