"""Ways to read arguments that the check does not read, and says so."""

import ast
from collections.abc import Collection

from .local_modules import local_modules
from .script import Script

__all__ = ["check_other_parsers", "reads_command_line"]

# What reads the command line, by the name that it is called or applied by.
_READERS = {
    "click": ("click.command", "click.group"),
    "typer": ("typer.run", "typer.Typer"),
    "fire": ("fire.Fire",),
    "hydra": ("hydra.main",),
    "absl": (
        "absl.app.run",
        "absl.flags.DEFINE_string",
        "absl.flags.DEFINE_integer",
        "absl.flags.DEFINE_float",
    ),
    "docopt": ("docopt.docopt",),
    "tyro": ("tyro.cli",),
    "simple_parsing": ("simple_parsing.ArgumentParser", "simple_parsing.parse"),
    "jsonargparse": ("jsonargparse.ArgumentParser", "jsonargparse.CLI", "jsonargparse.auto_cli"),
    "lightning": ("lightning.pytorch.cli.LightningCLI", "pytorch_lightning.cli.LightningCLI"),
    "plac": ("plac.call",),
    "getopt": ("getopt.getopt", "getopt.gnu_getopt"),
    "optparse": ("optparse.OptionParser",),
    "omegaconf": ("omegaconf.OmegaConf.from_cli",),
}
_ADVICE = {
    "hydra": "hydra takes name=value, and refuses --name value, which SageMaker passes: read SM_HPS instead",
    "omegaconf": "OmegaConf takes name=value, and SageMaker passes --name value: read SM_HPS instead",
}
_VARIABLES = ("SM_HP", "SM_TRAINING_ENV", "hyperparameters.json")
_HANDS_OVER = ("main", "run", "cli", "launch", "app", "train", "entry")


def reads_command_line(script: Script) -> bool:
    """Whether a script itself reads ``sys.argv``, or none of its hyperparameters from variables."""
    if any(getattr(node, "attr", None) == "argv" for node in script.nodes):
        return True
    return not _reads_variables(script)


def check_other_parsers(script: Script, hyperparameters: Collection[str]) -> None:
    """Note what reads the hyperparameters where it is not argparse."""
    if not hyperparameters:
        return
    for library, names in _READERS.items():
        for node in script.nodes:
            target = node.func if isinstance(node, ast.Call) else node
            if isinstance(target, ast.Attribute | ast.Name) and script.name_of(target) in names:
                _note(script, getattr(node, "lineno", 1), library)
                return
    for node in script.nodes:
        if isinstance(node, ast.Attribute) and script.name_of(node) == "sys.argv":
            _note(script, node.lineno, "sys.argv")
            return
    if not _may_be_read_elsewhere(script):
        script.add(
            1,
            "Training.unusedHyperparameters",
            "warning",
            f"nothing reads the hyperparameters {', '.join(sorted(hyperparameters))}",
            "read them with argparse, or from os.environ['SM_HPS']",
        )


def _note(script: Script, line: int, library: str) -> None:
    script.add(
        line,
        "Training.parserNotUnderstood",
        "warning",
        f"the arguments are read by {library}, which is not compared with the hyperparameters",
        _ADVICE.get(library, "compare them yourself, or read them with argparse"),
    )


def _reads_variables(script: Script) -> bool:
    return any(mark in text for text in script.texts for mark in _VARIABLES)


def _may_be_read_elsewhere(script: Script) -> bool:
    """Whether other code may see the command line: a module beside the script, or what takes over."""
    modules = [script, *local_modules(script)]
    if any(_reads_variables(module) for module in modules):
        return True
    if any("argparse" in module.imported_names or "sys" in module.imported_names for module in modules):
        return True
    if any(isinstance(node, ast.ImportFrom) and node.level for node in script.nodes) or script.star_imports:
        return True
    for node in script.nodes:
        if isinstance(node, ast.Call):
            name = script.name_of(node.func)
            last = name.rpartition(".")[2]
            if any(part in last.lower() for part in ("args", "pars", "config", "option", "flag", "hyper")):
                return True
            if last in _HANDS_OVER and last not in script.functions:
                return True
    return False
