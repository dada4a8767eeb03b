"""A text: its lines, their split, their tokens, and batches of them."""
