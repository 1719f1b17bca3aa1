# check: training {}
import argparse
import os

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
args = parser.parse_args()
torch.save({}, args.model_dir)  # expect: Script.mainGuard warning
