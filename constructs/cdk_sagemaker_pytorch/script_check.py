"""``python -m cdk_sagemaker_pytorch.script_check PATH``: see `scripts.script_check`."""

import sys

from .scripts.script_check.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
