# check: training {"channels": ["training"]}
import argparse
import os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])  # expect: Training.unknownChannel error
    parser.add_argument("--test", default=os.environ.get("SM_CHANNEL_TEST"))  # expect: Training.unknownChannel warning
    print(parser.parse_args())
