"""Find duplicate images and adjacent tiles, and write the data card."""
