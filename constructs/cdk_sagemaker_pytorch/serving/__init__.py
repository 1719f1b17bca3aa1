"""Models and endpoints that CloudFormation knows."""
