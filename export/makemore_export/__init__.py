"""The PyTorch side of makemore: data, models, training, and export of what the runtime samples."""
