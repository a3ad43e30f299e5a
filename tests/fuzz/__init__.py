"""Mutated foreign files through the commands that read them."""
