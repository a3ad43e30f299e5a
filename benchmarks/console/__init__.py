"""Show progress bars and tables on the terminal."""
