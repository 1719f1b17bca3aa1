"""Start one command that sees a folder as /opt/ml, and host names of its own.

Run as a file, `python -I -S container_launcher.py SETTINGS COMMAND...`, with the JSON object SETTINGS:

- `folders`: folders by the places where they are seen, whether the machine has those or not.
- `hosts_file`: what is seen as /etc/hosts. It lies in a folder of the command's own, outside of the others.
- `working_folder`: where the command starts, as the command sees it.

It becomes the command: process id, signals, output and process group are the command's own. The mounts are
in a namespace of their own, which ends with the last process in it; the machine's folders are not touched.
"""

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Callable

HOSTS = "/etc/hosts"
#: Exit code when the system does not allow the mounts; docker's, when a container does not start.
NOT_MOUNTED = 125
_NOT_FOUND = 127

# Of linux/sched.h and linux/mount.h.
_NEW_MOUNTS, _NEW_USER = 0x0002_0000, 0x1000_0000
_BIND, _MOVE, _RECURSIVE, _SLAVE = 1 << 12, 1 << 13, 1 << 14, 1 << 19
_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]


def _call(function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


def _mount(source: str, target: str, flags: int, kind: str = "none", options: str = "") -> None:
    _call(_libc.mount, source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())


def _bind(source: str, target: str) -> None:
    # With what is mounted below: without it the kernel refuses to show what another user's mount hides.
    _mount(source, target, _BIND | _RECURSIVE)


def _enter_namespace() -> None:
    """Let this process, and those it starts, have mounts of their own."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call(_libc.unshare, _NEW_MOUNTS)
    except OSError:  # not root: that takes a user namespace, in which user and group stay what they are
        _call(_libc.unshare, _NEW_MOUNTS | _NEW_USER)
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{file}", "w") as setting:
                setting.write(text)
    _mount("none", "/", _SLAVE | _RECURSIVE)


def _show(folder: str, target: str, workshop: str) -> None:
    """Let `folder` be seen as `target`; what that takes is made in the folder `workshop`."""
    ancestor = target
    while not os.path.isdir(ancestor):
        ancestor = os.path.dirname(ancestor)
    if ancestor == target:
        _bind(folder, target)
    else:
        _replace_ancestor(folder, target, ancestor, workshop)


def _replace_ancestor(folder: str, target: str, ancestor: str, workshop: str) -> None:
    """Put a folder with the same entries, and with `target` besides, in the place of an existing ancestor."""
    stage = f"{workshop}/mount-{os.getpid()}"
    os.mkdir(stage)
    try:
        _mount("tmpfs", stage, 0, "tmpfs", "mode=755")
        _copy_entries(ancestor, stage)
        inner = f"{stage}/{os.path.relpath(target, ancestor)}"
        os.makedirs(inner)
        _bind(folder, inner)
        with contextlib.suppress(OSError):  # where the ancestor's entries hold the stage itself
            _call(_libc.umount2, os.fsencode(f"{stage}/{os.path.relpath(stage, ancestor)}"), _DETACH)
        if ancestor != "/":
            _mount(stage, ancestor, _MOVE)
            return
        os.chdir(stage)
        _mount(".", "/", _MOVE)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(stage)
    os.chroot(".")


def _copy_entries(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            if entry.is_dir():
                os.mkdir(place)
            else:
                os.close(os.open(place, os.O_CREAT))
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                _bind(entry.path, place)


def main() -> None:
    """Become the command of the command line."""
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        _enter_namespace()
        if os.path.exists(HOSTS):
            _bind(settings["hosts_file"], HOSTS)
        for place, folder in settings["folders"].items():
            _show(folder, place, os.path.dirname(settings["hosts_file"]))
        os.chdir(settings["working_folder"])
    except OSError as error:
        places = ", ".join(settings["folders"])
        print(f"cannot mount {places}: {error.strerror}", file=sys.stderr)  # noqa: T201
        os._exit(NOT_MOUNTED)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        os._exit(_NOT_FOUND)


if __name__ == "__main__":
    main()
