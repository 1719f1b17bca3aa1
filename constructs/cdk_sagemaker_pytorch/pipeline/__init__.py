"""Training and deployment as one state machine."""
