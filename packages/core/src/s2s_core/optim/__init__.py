"""Optimizers, schedules and what happens to gradients between them."""
