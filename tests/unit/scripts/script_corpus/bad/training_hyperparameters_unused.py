# check: training {"hyperparameters": {"epochs": 1}}  # expect: Training.unusedHyperparameters warning
import os

EPOCHS = 10

if __name__ == "__main__":
    print(EPOCHS, os.environ["SM_MODEL_DIR"])
