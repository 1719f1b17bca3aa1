"""The server of the local AWS, and the programs that talk to it."""
