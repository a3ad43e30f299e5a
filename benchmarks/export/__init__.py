"""Turn a finished run into a network, an adapter or an ONNX file."""
