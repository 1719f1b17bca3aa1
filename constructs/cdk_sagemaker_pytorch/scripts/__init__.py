"""What is wrong with a script, found at synthesis."""
