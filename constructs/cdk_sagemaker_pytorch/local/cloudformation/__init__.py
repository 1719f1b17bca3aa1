"""CloudFormation of the local AWS: templates, stacks, and how resources of each type are made."""
