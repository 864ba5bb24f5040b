"""Numerical precision of training."""
