"""The experiment machinery: declarations, training, evaluation, storage, command line."""
