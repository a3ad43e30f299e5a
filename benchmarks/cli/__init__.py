"""Command line; heavy imports stand inside the commands."""
