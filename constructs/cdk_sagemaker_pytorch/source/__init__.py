"""Source code, from a directory to an asset."""
