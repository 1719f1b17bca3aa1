"""Model servers and endpoints of the local AWS."""
