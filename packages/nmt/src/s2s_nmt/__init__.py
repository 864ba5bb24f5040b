"""Translation and other text-to-text tasks."""

__version__ = "0.1.0"
