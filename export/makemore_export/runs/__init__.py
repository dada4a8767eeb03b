"""A run of training on the disk."""
