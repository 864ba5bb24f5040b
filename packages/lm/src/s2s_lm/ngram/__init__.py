"""N-gram models estimated from text."""
