# check: training {"py_version": "py313"}
import imp  # expect: Script.removedModule error
from cgi import escape  # expect: Script.removedModule error

from .helpers import train  # expect: Script.relativeImport error

print(imp, escape, train)
