"""What is wrong with a training or inference script, found without running it."""

from .finding import Finding, Severity
from .inference import check_inference_script
from .training import check_training_script

__all__ = ["Finding", "Severity", "check_inference_script", "check_training_script"]
