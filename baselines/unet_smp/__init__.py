"""smp's U-Net; the network is in `network.py`."""
