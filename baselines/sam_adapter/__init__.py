"""SAM Adapter; the network is in `network.py`."""
