# check: training {"hyperparameters": {"epochs": 1}}
import sys

if __name__ == "__main__":
    print(int(sys.argv[2]))  # expect: Training.parserNotUnderstood warning
