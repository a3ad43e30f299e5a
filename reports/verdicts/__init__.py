"""Decide whether each number and claim of the paper was reproduced."""
