"""Sampling, reading and making data."""
