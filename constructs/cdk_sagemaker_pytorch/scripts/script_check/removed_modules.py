"""Modules that the container's Python does not have any more."""

from .imports import imported_modules, statements_that_may_fail
from .script import Script

__all__ = ["check_removed_modules"]

# https://docs.python.org/3/whatsnew/3.12.html and 3.13, "Removed". distutils is missing on purpose:
# setuptools, which the images have, brings it back.
_REMOVED = {
    (3, 12): "asynchat asyncore imp smtpd",
    (3, 13): "aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes"
    " sndhdr spwd sunau telnetlib uu xdrlib",
}
_REMOVED_IN = {name: version for version, names in _REMOVED.items() for name in names.split()}


def check_removed_modules(script: Script, python: tuple[int, int]) -> None:
    """Note imports of what the container's Python has no more.

    Parameters
    ----------
    script : Script
        The entry point.
    python : tuple of int
        Version of the container's Python.
    """
    beside = {path.stem for path in script.path.absolute().parent.glob("*.py")}
    prepared = statements_that_may_fail(script)
    for statement in script.module_statements():
        if id(statement) in prepared:
            continue
        for name in {module.partition(".")[0] for module in imported_modules(statement)} - beside:
            removed_in = _REMOVED_IN.get(name)
            if removed_in is not None and python >= removed_in:
                script.add(
                    statement.lineno,
                    "Script.removedModule",
                    "error",
                    f"the module {name} is imported, which Python {removed_in[0]}.{removed_in[1]} removed;"
                    f" the container has {python[0]}.{python[1]}",
                    "do without it, or bring it back with requirements.txt",
                )
