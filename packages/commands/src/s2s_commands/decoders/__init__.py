"""Vectors to scores of classes."""
