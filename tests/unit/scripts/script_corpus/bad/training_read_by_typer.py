# check: training {"hyperparameters": {"epochs": 1}}
import typer


def main(epochs: int = 1):
    print(epochs)


if __name__ == "__main__":
    typer.run(main)  # expect: Training.parserNotUnderstood warning
