"""Training of models; nothing else of the project depends on it."""
