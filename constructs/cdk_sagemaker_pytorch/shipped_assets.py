"""Where the scripts and functions that ship with the library are."""

from pathlib import Path

__all__ = ["shipped_asset"]

_PACKAGE = Path(__file__).parent


def shipped_asset(*parts: str) -> Path:
    """Path of something that ships with the library.

    An installed package carries the asset folders inside it; in a checkout they lie beside
    ``constructs/``.

    Parameters
    ----------
    *parts : str
        For example ``"training_assets", "train.py"``.

    Raises
    ------
    FileNotFoundError
        When it is in neither place: the installation is broken.
    """
    candidates = [root.joinpath(*parts) for root in (_PACKAGE, _PACKAGE.parent.parent)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"{'/'.join(parts)} is missing from the installation, looked for: "
        + ", ".join(str(candidate) for candidate in candidates)
    )
