"""Leaves what it was called with as the model."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    Path(os.environ["SM_MODEL_DIR"], "arguments.txt").write_text(" ".join(sys.argv[1:]))
