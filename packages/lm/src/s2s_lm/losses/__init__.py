"""What language models minimise."""
