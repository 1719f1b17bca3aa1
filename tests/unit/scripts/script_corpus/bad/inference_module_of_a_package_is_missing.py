# check: inference {"framework_version": "2.13", "shipped": ["inference.py", "nets/__init__.py", "nets/small.py"]}
import nets.small
import nets.large  # expect: Script.missingModule error
from nets.tiny import Net  # expect: Script.missingModule error
from nets import anything


def model_fn(model_dir):
    return Net(nets, anything, model_dir)
