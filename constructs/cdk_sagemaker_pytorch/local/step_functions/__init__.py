"""Step Functions of the local AWS."""
