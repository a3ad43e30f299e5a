"""UNetFormer; the network is in `network.py`."""
