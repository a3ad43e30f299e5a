"""Declare what is compared: systems, recipes, runs and their keys, the paper's tables, figures and claims."""
