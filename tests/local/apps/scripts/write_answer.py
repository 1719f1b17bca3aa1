"""Writes a model that is one number."""

import argparse
import os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--answer", default="1")
    args, _ = parser.parse_known_args()
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "answer.txt"), "w") as model:
        model.write(args.answer)
    print(f"answer={len(args.answer)}")
