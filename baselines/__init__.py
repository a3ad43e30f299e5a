"""One file per comparison system."""
