"""The SageMaker API of the local AWS."""
