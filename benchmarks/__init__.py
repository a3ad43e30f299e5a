"""Run the benchmark: protocol, training, scoring, stored results, command line."""
