"""SegNet; the network is in `network.py`."""
