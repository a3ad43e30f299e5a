"""Comparisons of this suite's own, which are not in the paper."""
