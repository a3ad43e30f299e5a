"""FCN; the network is in `network.py`."""
