"""Endpoints that are made at run time: moving them to a version, and whose they are."""
