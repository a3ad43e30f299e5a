"""Score the predictions of any tool, and evaluate trained systems on other data sets."""
