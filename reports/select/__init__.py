"""Choose the results that a table or figure shows, and which of them may share a column."""
