"""Execute declared runs to stored results: plan, lock, train, resume, on one machine or many."""
