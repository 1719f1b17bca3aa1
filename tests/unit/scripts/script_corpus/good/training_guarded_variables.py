# check: training {"hyperparameters": {"epochs": 1}, "channels": ["train"], "environment": ["SM_OWN"]}
import contextlib
import os
from os import environ

NAME = "SM_CHANNEL_CONSTANT"
os.environ["SM_CHANNEL_VAL"] = "/x"
val = os.environ["SM_CHANNEL_VAL"]
os.environ.setdefault("SM_CHANNEL_DEFAULT", "/y")
default = os.environ["SM_CHANNEL_DEFAULT"]
os.environ.update({"SM_CHANNEL_A": "/a"}, SM_CHANNEL_B="/b")
updated = os.environ["SM_CHANNEL_A"], environ["SM_CHANNEL_B"]
if os.environ.get("SM_CHANNEL_C"):
    c = os.environ["SM_CHANNEL_C"]
try:
    d = os.environ["SM_CHANNEL_D"]
except Exception:
    d = None
with contextlib.suppress(KeyError):
    e = os.environ["SM_CHANNEL_E"]
f = environ["SM_CHANNEL_F"] if "SM_CHANNEL_F" in environ else None
found = os.environ.get("SM_CHANNEL_G")
if found is not None:
    g = os.environ["SM_CHANNEL_G"]
has_h = "SM_CHANNEL_H" in os.environ
if has_h:
    h = os.environ["SM_CHANNEL_H"]
if (found_i := os.environ.get("SM_CHANNEL_I")) and os.path.isdir(found_i):
    i = found_i
if not os.getenv("SM_CHANNEL_J"):
    raise SystemExit("no channel j")
j = os.environ["SM_CHANNEL_J"]
removed = os.environ.pop("SM_CHANNEL_K", None)
if NAME in os.environ:
    constant = os.environ[NAME]
epochs, own = os.environ["SM_HP_EPOCHS"], os.environ["SM_OWN"]
assert os.environ.get("SM_CHANNEL_L"), "a channel l"
later = os.environ["SM_CHANNEL_L"]
