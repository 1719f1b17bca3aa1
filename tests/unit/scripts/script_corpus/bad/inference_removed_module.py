# check: inference {"framework_version": "2.6"}
import imp  # expect: Script.removedModule error

try:
    import smtpd
except ImportError:
    smtpd = None


def model_fn(model_dir):
    return model_dir, imp, smtpd
