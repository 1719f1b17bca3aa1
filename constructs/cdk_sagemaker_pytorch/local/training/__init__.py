"""Training and processing jobs of the local AWS."""
