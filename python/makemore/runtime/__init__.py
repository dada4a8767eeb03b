"""What runs a model: ONNX Runtime and CUDA as installed, PyTorch, the sampler of a device."""
