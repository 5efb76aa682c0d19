"""Search: networks are mutated and the best are kept. Knows predictors, knows nothing of runs."""
