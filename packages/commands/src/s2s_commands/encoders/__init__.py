"""Networks that turn a sound or an image into one vector."""
