"""SAM LoRA; the network is in `network.py`."""
