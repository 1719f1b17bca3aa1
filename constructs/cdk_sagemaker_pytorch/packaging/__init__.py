"""From model data and inference code to what a container loads."""
