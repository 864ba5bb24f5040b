"""Training on many processes: what Lightning's own strategies lack."""
