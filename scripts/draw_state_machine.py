"""Prints the state machine of the demo app as a Mermaid diagram, as docs/architecture.md shows it."""

import json
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Synthesize app.py and draw its state machine."""
    with tempfile.TemporaryDirectory() as folder:
        template = _template(Path(folder))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            definition = json.loads(_text(resource["Properties"]["DefinitionString"]))
            sys.stdout.write("\n".join(draw(definition)) + "\n")


def draw(definition: dict[str, Any]) -> Iterator[str]:
    """Draw a definition in Amazon States Language.

    Parameters
    ----------
    definition : dict
        The definition.
    """
    states = definition["States"]
    ids = {name: f"s{number}" for number, name in enumerate(states)}
    yield "flowchart TB"
    for name, state in states.items():
        opening, closing = {
            "Choice": ("{", "}"),
            "Wait": ("([", "])"),
            "Fail": ("[[", "]]"),
            "Pass": ("(", ")"),
        }.get(state["Type"], ("[", "]"))
        yield f'  {ids[name]}{opening}"{name}"{closing}'
    for name, state in states.items():
        for target in dict.fromkeys(choice["Next"] for choice in state.get("Choices", [])):
            yield f"  {ids[name]} --> {ids[target]}"
        for key in ("Default", "Next"):
            if key in state:
                yield f"  {ids[name]} --> {ids[state[key]]}"
        for catch in state.get("Catch", []):
            yield f"  {ids[name]} -. error .-> {ids[catch['Next']]}"


def _template(outdir: Path) -> dict[str, Any]:
    os.environ["CDK_OUTDIR"] = str(outdir)
    runpy.run_path(str(ROOT / "app.py"))
    found: dict[str, Any] = json.loads((outdir / "Digits.template.json").read_text())
    return found


def _text(value: Any) -> str:
    parts = value["Fn::Join"][1] if isinstance(value, dict) else [value]
    return "".join(part if isinstance(part, str) else "token" for part in parts)


if __name__ == "__main__":
    main()
