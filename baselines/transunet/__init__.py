"""TransUNet; the network is in `network.py`."""
