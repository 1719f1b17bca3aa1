"""States of Step Functions: expressions, names, and tasks with their permissions and retries."""
