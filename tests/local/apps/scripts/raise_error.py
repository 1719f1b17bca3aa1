"""Fails with a message of its own."""

if __name__ == "__main__":
    raise RuntimeError("the loss is not a number in epoch 7")
