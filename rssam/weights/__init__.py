"""Pretrained checkpoints: where they come from, how they are checked and stored."""
