"""Numbers that JSON does not have, as AWS's JSON protocols write them.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import math
from typing import Any

_TEXTS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def json_number(value: Any) -> Any:
    """Return a text for a float that is no finite number, and what else comes as it is."""
    return _TEXTS[str(value)] if isinstance(value, float) and not math.isfinite(value) else value
