"""Lambda functions of the local AWS."""
