"""RSAM-Seg; the network is in `network.py`."""
