"""What source code does not ship unless it is asked for: what tools make, and what is secret by its name.

Plain Python: nothing here knows the CDK.
"""

from collections.abc import Iterable
from pathlib import Path

from .exclude_patterns import ExcludePatterns

__all__ = ["SourceFilter"]

_MADE_BY_TOOLS = (
    *("cdk.out/", "node_modules/", ".terraform/", ".aws-sam/", ".serverless/"),
    *(
        ".cache/",
        ".tox/",
        ".nox/",
        ".eggs/",
        ".hypothesis/",
        ".coverage",
        "htmlcov/",
        ".direnv/",
        ".local-aws/",
    ),
)
_SECRETS = (
    *(".env*", "*.pem", "*.p12", "*.pfx", "*.ppk", "*.jks", ".netrc", "_netrc", ".pypirc", ".npmrc"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"),
    *(".aws/", ".ssh/", ".gnupg/", ".kube/", ".docker/", ".azure/", ".git-credentials", ".htpasswd"),
)


class SourceFilter:
    """Decides what of a folder ships, and remembers what it has left out by itself.

    Parameters
    ----------
    folder : Path
        The folder.
    patterns : iterable of str
        The user's own patterns, each as a line of a ``.gitignore``. They come last, so that ``!server.pem``
        lets a file in that would be left out.

    Attributes
    ----------
    made_by_tools, secrets : list of str
        What was left out without being asked to, relative to the folder; folders end in a slash.
    """

    def __init__(self, folder: Path, patterns: Iterable[str] = ()) -> None:
        given = tuple(patterns)
        self._folder = folder
        self._given = ExcludePatterns(given)
        self._tools = ExcludePatterns((*_MADE_BY_TOOLS, *given))
        self._secret = ExcludePatterns((*_SECRETS, *given))
        # With every folder that tools made excluded, only a pattern of the user's lets one in.
        self._any = ExcludePatterns(("*", *given))
        self.made_by_tools: list[str] = []
        self.secrets: list[str] = []

    def excludes(self, name: str, is_folder: bool) -> bool:
        """Tell whether a file or folder is left out."""
        if self._given.excludes(name, is_folder):
            return True
        shown = f"{name}/" if is_folder else name
        if self._tools.excludes(name, is_folder) or (
            is_folder and _is_made_by_tool(self._folder / name) and self._any.excludes(name, is_folder)
        ):
            self.made_by_tools.append(shown)
            return True
        if self._secret.excludes(name, is_folder):
            self.secrets.append(shown)
            return True
        return False


def _is_made_by_tool(folder: Path) -> bool:
    """Whether a folder is a virtual environment or a cloud assembly, whatever it is called."""
    if (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir():
        return True
    return (folder / "cdk.out").is_file() and (folder / "manifest.json").is_file()
