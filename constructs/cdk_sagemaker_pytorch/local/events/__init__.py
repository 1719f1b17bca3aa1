"""EventBridge of the local AWS."""
