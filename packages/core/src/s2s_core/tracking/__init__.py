"""What a run leaves for people to look at, in TensorBoard and in Weights & Biases alike."""
