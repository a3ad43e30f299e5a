"""MANet; the network is in `network.py`."""
