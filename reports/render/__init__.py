"""Reports as Markdown, LaTeX, CSV, HTML and on the terminal."""
