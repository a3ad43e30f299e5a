"""What runs leave on disk: results, submissions, predictions, provenance."""
