"""Read results and render tables, figures and verdicts; nothing here trains."""
