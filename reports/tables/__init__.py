"""Make the tables of a report: data frames with their rows, intervals, ranks, notes and printed cells."""
