# check: training {"hyperparameters": {"a": 1}, "channels": []}
import os

print "epoch", 1  # expect: Script.syntax error
os.environ["SM_CHANNEL_TRAIN"]
