"""Arguments that a script asks no more of than whether they are true."""

import ast

from .script import Script

__all__ = ["is_tested_for_truth"]


def is_tested_for_truth(script: Script, name: str) -> bool:
    """Tell whether a script tests ``args.NAME`` itself, as text or not, and never compares or assigns it."""
    tested: set[int] = set()
    for node in script.nodes:
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            tested.add(id(node.test))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            tested.add(id(node.operand))
        elif isinstance(node, ast.BoolOp):
            tested.update(map(id, node.values))
    uses = [node for node in script.nodes if isinstance(node, ast.Attribute) and node.attr == name]
    compared = {
        id(part)
        for node in script.nodes
        if isinstance(node, ast.Compare | ast.Call)
        for part in (
            [node.left, *node.comparators]
            if isinstance(node, ast.Compare)
            else [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        )
    }
    return any(id(use) in tested for use in uses) and not any(
        isinstance(use.ctx, ast.Store) or id(use) in compared for use in uses
    )
