"""A finished run as a network, an adapter or an ONNX file."""
