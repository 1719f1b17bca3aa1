# check: training {"hyperparameters": {"epochs": 1}}
import click


@click.command()  # expect: Training.parserNotUnderstood warning
@click.option("--epochs", type=int)
def main(epochs):
    print(epochs)


if __name__ == "__main__":
    main()
