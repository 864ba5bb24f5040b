"""Source tokens to a memory."""
