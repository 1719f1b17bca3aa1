"""Who calls the local AWS, and whether they may."""
