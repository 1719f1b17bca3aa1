# check: training {"hyperparameters": {"epoch_s": 1, "lr": "fast", "shuffle": "maybe", "kind": "c"}}
from dataclasses import dataclass, field
from typing import List, Literal, Optional

from transformers import HfArgumentParser


@dataclass
class Arguments:
    lr: float  # expect: Training.wrongType error
    epochs: int = field(default=1, metadata={"help": "passes"})
    shuffle: bool = False  # expect: Training.wrongType error
    kind: Literal["a", "b"] = "a"  # expect: Training.wrongChoice error
    sizes: Optional[List[int]] = None


if __name__ == "__main__":
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()  # expect: Training.unknownHyperparameter error
