"""Render a report as Markdown, LaTeX, CSV, HTML or on the terminal."""
