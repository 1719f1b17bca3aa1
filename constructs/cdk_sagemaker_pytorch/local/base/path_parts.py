"""Names that come with API calls, as names of files and folders."""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def path_part(name: str) -> str:
    """Return a name that is safe as one part of a path, a different one for each name.

    Names as AWS allows them stay as they are. Any other, with a slash, dots alone, a NUL or hundreds of
    letters, becomes its plain characters, a percent sign, which no plain name has, and a digest of it.
    """
    if _PLAIN.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return re.sub(r"[^A-Za-z0-9_-]", "", name)[:32] + "%" + digest[:32]
