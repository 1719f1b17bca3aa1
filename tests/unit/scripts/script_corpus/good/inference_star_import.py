# check: inference {"framework_version": "1.2.0"}
from handlers import *
