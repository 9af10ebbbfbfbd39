"""Runs a command on a terminal of its own and does what the steps say: types, waits for words, resizes.

Arguments: columns, rows, the steps as JSON, and the command. Prints all that the terminal was shown.
"""
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

STEP_TIMEOUT = 12
columns, rows, steps, *command = sys.argv[1:]
shown = b""
pid, terminal = pty.fork()
if pid == 0:
    # The size must be there before the command asks for it.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    os.execvp(command[0], command)


def read(seconds):
    """True as long as there is somebody at the other end."""
    global shown
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        part = os.read(terminal, 65536)
    except OSError:
        part = b""
    shown += part
    return part != b""


def wait_for(words, start):
    end = time.monotonic() + STEP_TIMEOUT
    while words.encode() not in shown[start:]:
        if time.monotonic() > end or not read(0.1):
            sys.stderr.write(f"never saw {words!r} in:\n{shown[start:].decode(errors='replace')}")
            os.kill(pid, 9)
            sys.exit(1)
    return start + shown[start:].index(words.encode()) + len(words.encode())


seen = 0
for step in json.loads(steps):
    if "until" in step:
        seen = wait_for(step["until"], seen)
    if "pause" in step:
        end = time.monotonic() + step["pause"]
        while time.monotonic() < end:
            read(0.05)
    if "send" in step:
        os.write(terminal, step["send"].encode())
    if "size" in step:
        width, height = step["size"]
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
while read(STEP_TIMEOUT):
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
