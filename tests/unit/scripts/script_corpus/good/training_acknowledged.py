# check: training {"hyperparameters": {"flag": false, "typo": 1}, "channels": []}
import argparse
import os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    # script-check: ignore[Training.boolArgument] the flag is not used any more
    parser.add_argument("--flag", type=bool)
    train = os.environ["SM_CHANNEL_X"]  # script-check: ignore[Training.unknownChannel, Other.id] set by the image
    print(train, parser.parse_known_args())  # script-check: ignore[Training.unknownHyperparameter] another job's
