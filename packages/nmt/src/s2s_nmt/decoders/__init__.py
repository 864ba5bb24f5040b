"""A memory and the tokens so far to scores of the next token."""
