"""Draw the figures and charts of a report."""
