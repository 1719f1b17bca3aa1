# check: training {"hyperparameters": {"model_name": "bert"}}
from dataclasses import dataclass, field

from transformers import HfArgumentParser, Trainer, TrainingArguments


@dataclass
class ModelArguments:
    model_name: str = field(default="bert")


def main():
    model_arguments, training_arguments = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
    trainer = Trainer(model_arguments.model_name, training_arguments)
    trainer.train()
    trainer.save_model(training_arguments.model_dir)


if __name__ == "__main__":
    main()
