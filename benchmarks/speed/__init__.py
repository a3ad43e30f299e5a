"""Measure latency, training steps, memory and data loading."""
