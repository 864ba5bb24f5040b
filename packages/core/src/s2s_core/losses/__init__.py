"""Losses and how they are averaged."""
