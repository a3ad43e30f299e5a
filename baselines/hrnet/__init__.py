"""HRNetV2; the network is in `network.py`."""
