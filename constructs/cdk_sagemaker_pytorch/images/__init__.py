"""Which container image a version of PyTorch has, and what follows from the version."""
