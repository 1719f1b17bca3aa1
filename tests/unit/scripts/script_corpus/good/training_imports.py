# check: training {"framework_version": "2.6"}
import distutils
import telnetlib

try:
    import imp
    from . import helpers
except ImportError:
    imp = helpers = None

print(distutils, telnetlib, imp, helpers)
