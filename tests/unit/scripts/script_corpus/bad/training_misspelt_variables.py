# check: training {"hyperparameters": {"epochs": 1, "learning-rate": 1}, "channels": []}
import os

epochs = os.environ["SM_HP_EPOCH"]  # expect: Training.hyperparameterVariable error
rate = os.environ.get("SM_HP_LEARNING_RATE")  # expect: Training.hyperparameterVariable warning
folder = os.environ["SM_MODEL_DIRECTORY"]  # expect: Training.unknownVariable error
hosts = os.getenv("SM_HOST")  # expect: Training.unknownVariable warning
other = os.environ["SM_HP_EPOCHS"], os.getenv("SM_HP_SEED")
del os.environ["SM_CHANNEL_OLD"]  # expect: Training.unknownChannel error
gpus = os.environ.pop("SM_NUM_GPUS")
del os.environ["SM_HOSTS"]
after = os.environ["SM_HOSTS"]  # expect: Training.unknownVariable error
