"""Tables as data frames: rows, intervals, ranking, notes, printed cells."""
