"""Train and evaluate one network, on one device or several."""
