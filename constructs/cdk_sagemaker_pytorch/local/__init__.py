"""A local AWS on this machine: the synthesized app deploys, trains, packages and answers for real."""
