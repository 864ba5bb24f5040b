"""Audio on the training device: features and augmentation."""
