"""From a plan to trained weights, step by step."""
