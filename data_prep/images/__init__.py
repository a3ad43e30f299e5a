"""Decode images and masks, and encode them without loss."""
