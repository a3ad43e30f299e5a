"""Write and read what runs leave on disk: results, submissions, predictions, provenance."""
