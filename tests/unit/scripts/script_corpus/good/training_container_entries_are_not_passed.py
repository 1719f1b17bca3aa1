# check: training {"hyperparameters": {"sagemaker_torch_distributed_enabled": true, "epochs": "${Token[Epochs.12]}"}}
import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    print(parser.parse_args())
