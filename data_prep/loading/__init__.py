"""Read a prepared folder as PyTorch tensors."""
