# check: training {"channels": []}
from os import environ, getenv

read = environ.get
train = environ["SM_CHANNEL_TRAIN"]  # expect: Training.unknownChannel error
test = getenv("SM_CHANNEL_TEST")  # expect: Training.unknownChannel warning
other = read("SM_CHANNEL_OTHER")  # expect: Training.unknownChannel warning
either = environ["SM_CHANNEL_EITHER"] or "."  # expect: Training.unknownChannel error
