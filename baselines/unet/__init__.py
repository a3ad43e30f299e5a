"""U-Net; the network is in `network.py`."""
