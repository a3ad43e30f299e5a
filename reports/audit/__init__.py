"""Check the paper's arithmetic from its printed numbers alone: which identities hold, and which rows break them.

Nothing here needs a run, data or weights.
"""
