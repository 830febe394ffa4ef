"""Run a command in a process group that dies with the build, whatever kills the build.

The build keeps the writing end of a pipe open. When it ends, even by ``kill -9``, the pipe closes and the
guard, which leads the group, kills all of it. `run` is the build's side, the script below it the guard's.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def run(command: list[str], **options) -> int:
    """The exit status of a command that cannot outlive this process."""
    reading, writing = os.pipe()
    guard = subprocess.Popen(
        [sys.executable, __file__, str(reading), *command],
        pass_fds=[reading],
        start_new_session=True,
        **options,
    )
    os.close(reading)
    try:
        return guard.wait()
    finally:
        os.close(writing)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()


def _kill_group_at_end_of(pipe: int) -> None:
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    pipe = int(sys.argv[1])
    threading.Thread(target=_kill_group_at_end_of, args=[pipe], daemon=True).start()
    sys.exit(subprocess.call(sys.argv[2:], cwd=Path.cwd()))
