# check: training {"hyperparameters": {"epochs": 1}}
import fire


def main(epochs=1):
    print(epochs)


if __name__ == "__main__":
    fire.Fire(main)  # expect: Training.parserNotUnderstood warning
