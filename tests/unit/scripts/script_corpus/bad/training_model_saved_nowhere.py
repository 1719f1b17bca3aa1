# check: training {}  # expect: Training.modelDir warning
import torch


def main():
    model = torch.nn.Linear(1, 1)
    model(torch.zeros(1)).backward()
    torch.save(model.state_dict(), "model.pth")


if __name__ == "__main__":
    main()
