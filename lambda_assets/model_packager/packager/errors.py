"""What can go wrong while packaging; Step Functions reports the class name as the error's name."""


class ModelPackagerError(Exception):
    """Base of every error that packaging raises on purpose."""


class InvalidRequestError(ModelPackagerError):
    """The event lacks a field, or a field has a value that is not allowed."""


class RequirementsNotSupportedError(ModelPackagerError):
    """The source code has a requirements.txt that the container of this PyTorch version ignores."""


class TrainingJobError(ModelPackagerError):
    """The training job does not exist, or it has no model artifact (yet)."""


class ObjectNotFoundError(ModelPackagerError):
    """An S3 object or bucket does not exist."""


class AccessDeniedError(ModelPackagerError):
    """S3 or KMS refused the function's role."""


class EmptyObjectError(ModelPackagerError):
    """An S3 object has no bytes."""


class SourceChangedError(ModelPackagerError):
    """An S3 object was replaced while it was read."""


class StorageError(ModelPackagerError):
    """S3 failed in a way that retries did not heal."""


class NotGzipError(ModelPackagerError):
    """The object is not a gzip file."""


class TruncatedArchiveError(ModelPackagerError):
    """The archive ends too early."""


class CorruptArchiveError(ModelPackagerError):
    """The gzip data is damaged: a bad checksum, flipped bits, bytes after its end."""


class NotTarError(ModelPackagerError):
    """The gzip file holds no tar archive, or one that tools would read differently."""


class UnsafeMemberError(ModelPackagerError):
    """A member would be written outside of the directory that the archive is extracted to."""


class DecompressionBombError(ModelPackagerError):
    """The archive unpacks to more than the request allows."""


class EntryPointMissingError(ModelPackagerError):
    """The source code has no entry point at its top level."""


class DeadlineError(ModelPackagerError):
    """The time that is left does not suffice; nothing was written."""


class NestedArchiveError(ModelPackagerError):
    """A model archive that holds nothing but another archive."""


class WrappedModelError(ModelPackagerError):
    """A model archive in which one folder is around everything, its code included."""
