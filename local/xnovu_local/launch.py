"""
A child's first steps, up to becoming the server.

It enters its folder, drops its privileges and ties its life to its parent's. Run by path in a bare
interpreter, because a `preexec_fn` may deadlock beside other threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ROOT = 0


def become(parent: int, user: int, group: int, folder: str, command: list[str]) -> None:
    """Never returns; user 0 means: stay who you are."""
    os.chdir(folder)  # before dropping privileges: the folders above may be closed to that user
    if user != ROOT:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)  # after setuid, which clears it
        if os.getppid() != parent:
            raise SystemExit("the parent died first")
    os.execv(command[0], command)  # noqa: S606 - becoming the server is the point


if __name__ == "__main__":
    _, parent, user, group, folder, *command = sys.argv
    become(int(parent), int(user), int(group), folder, command)
