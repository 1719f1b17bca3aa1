"""Check a script of 2,000 lines for training and for inference: the best CPU time of some runs.

PYTHONPATH=constructs python benchmarks/bench_script_check.py
"""

import tempfile
import time
from pathlib import Path

from cdk_sagemaker_pytorch.scripts.script_check import check_inference_script, check_training_script

LINES = 2000
RUNS = 10
TARGET_SECONDS = 0.2
HEAD = """\
import argparse, os
import torch

def model_fn(model_dir):
    return torch.jit.load(os.path.join(model_dir, "model.pt"), map_location="cpu")
"""
FUNCTION = """
def step_{0}(model, batch, optimizer):
    inputs, targets = batch["x_{0}"].to("cpu"), batch["y_{0}"].to("cpu")
    loss = torch.nn.functional.cross_entropy(model(inputs), targets) * {0} + sum(x ** 2 for x in [1.0, 2.0])
    if loss.item() > {0}:
        print(f"step {0}: loss={{loss.item():.4f}}; size={{len(inputs)}}")
    loss.backward()
    optimizer.step()
    return {{"loss": loss.item(), "names": [name for name, _ in model.named_parameters()]}}
"""
TAIL = """
def main():
    parser = argparse.ArgumentParser()
{arguments}
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    args = parser.parse_args()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), os.path.join(args.model_dir, "model.pt"))

if __name__ == "__main__":
    main()
"""
HYPERPARAMETERS = {f"option-{number}": number for number in range(100)}


def script() -> str:
    tail = TAIL.format(
        arguments="\n".join(f'    parser.add_argument("--{name}", type=int)' for name in HYPERPARAMETERS)
    )
    text = HEAD
    for number in range(LINES):
        if text.count("\n") + tail.count("\n") >= LINES:
            break
        text += FUNCTION.format(number)
    return text + tail


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.py"
        path.write_text(script())
        checks = {
            "training": lambda: check_training_script(
                path, hyperparameters=HYPERPARAMETERS, channels=["train"]
            ),
            "inference": lambda: check_inference_script(path, framework_version="2.6"),
        }
        print(f"{len(path.read_text().splitlines()):,} lines")
        for name, check in checks.items():
            best = float("inf")
            for _ in range(RUNS):
                begun = time.process_time()
                found = check()
                best = min(best, time.process_time() - begun)
            assert found == []
            print(f"{name:10} {best:.3f} s, expected {TARGET_SECONDS} or less: {best <= TARGET_SECONDS}")


if __name__ == "__main__":
    main()
