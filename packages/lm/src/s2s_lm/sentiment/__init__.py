"""Text classification: sentiment, or any other set of classes."""
