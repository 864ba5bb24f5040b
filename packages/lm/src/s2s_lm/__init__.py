"""Language models and sentiment analysis."""

__version__ = "0.1.0"
