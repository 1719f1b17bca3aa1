"""Put inference code into model.tar.gz without unpacking it.

The package imports nothing but boto3's botocore, and `isal` where it is installed, so that it runs in a
Lambda function, in a SageMaker Processing job and in a test alike.
"""
