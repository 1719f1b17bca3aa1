"""What constructs of every floor need: roles, a bucket, and how wrong parameters are told."""
