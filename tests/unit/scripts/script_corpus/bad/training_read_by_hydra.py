# check: training {"hyperparameters": {"epochs": 1}}
import hydra


@hydra.main(config_path="conf")  # expect: Training.parserNotUnderstood warning
def main(config):
    print(config)


if __name__ == "__main__":
    main()
