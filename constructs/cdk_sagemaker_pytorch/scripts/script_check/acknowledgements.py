"""Findings that a comment in the script acknowledges."""

import io
import re
import tokenize

from .finding import Finding
from .script import Script

__all__ = ["without_acknowledged"]

_COMMENT = re.compile(r"#\s*script-check:\s*ignore\[([\w.,\s]*)\]\s*(.*)")


def without_acknowledged(script: Script, findings: list[Finding]) -> list[Finding]:
    """Leave out what a comment such as ``# script-check: ignore[Training.boolArgument] reason`` acknowledges.

    The comment stands in the line of the finding, or alone in the line before. One without a reason
    acknowledges nothing, and is a finding itself.

    Parameters
    ----------
    script : Script
        The script that the findings are about.
    findings : list of Finding
        All of them.
    """
    acknowledged, without_reason = _comments(script)
    left = [
        finding
        for finding in findings
        if finding.path != str(script.path) or (finding.line, finding.id) not in acknowledged
    ]
    return left + [
        Finding(
            str(script.path),
            line,
            "Script.acknowledgement",
            "warning",
            "a comment acknowledges a finding without a reason",
            "write the reason behind the bracket",
        )
        for line in without_reason
    ]


def _comments(script: Script) -> tuple[set[tuple[int, str]], list[int]]:
    """Find lines with the ids that are acknowledged there, and lines of comments that give no reason."""
    acknowledged: set[tuple[int, str]] = set()
    without_reason: list[int] = []
    for token in _tokens(script):
        found = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None
        if found is None:
            continue
        line = token.start[0]
        if not found[2].strip():
            without_reason.append(line)
            continue
        is_alone = not token.line[: token.start[1]].strip()
        for finding_id in found[1].replace(",", " ").split():
            acknowledged.add((line + is_alone, finding_id))
    return acknowledged, without_reason


def _tokens(script: Script) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.tokenize(io.BytesIO(script.path.read_bytes()).readline))
    except (tokenize.TokenError, SyntaxError, OSError):
        return []
