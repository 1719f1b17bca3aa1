# check: training {"hyperparameters": {"lr": 0.1, "sizes": 3, "fp16": true, "per-device": 2, "output_dir": "/opt/ml/model", "x": 1}}
from dataclasses import dataclass, field
from typing import List, Optional

from transformers import HfArgumentParser, TrainingArguments


@dataclass
class Arguments:
    lr: float
    sizes: Optional[List[int]] = field(default=None)
    per_device: Optional[int] = None


if __name__ == "__main__":
    parser = HfArgumentParser((Arguments, TrainingArguments))
    arguments, training = parser.parse_args_into_dataclasses()
