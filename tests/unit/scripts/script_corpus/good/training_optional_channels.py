# check: training {"channels": ["train"]}
import os

train = os.environ["SM_CHANNEL_TRAIN"]
validation = os.environ.get("SM_CHANNEL_VALIDATION", train)
extra = os.environ["SM_CHANNEL_EXTRA"] if "SM_CHANNEL_EXTRA" in os.environ else None
either = os.getenv("SM_CHANNEL_TRAINING") or train
try:
    test = os.environ["SM_CHANNEL_TEST"]
except KeyError:
    test = None
