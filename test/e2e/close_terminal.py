"""Types a line into a shell on a terminal of its own, waits until the port responds, and closes the terminal."""
import os
import pty
import select
import sys
import time
import urllib.request

line, port = sys.argv[1:3]


def responds():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=3) as response:
            return response.status == 200
    except OSError:
        return False


def wait_for(expected, seconds, idle):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if responds() == expected:
            return True
        idle()
    return False


shell, terminal = pty.fork()
if shell == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])


def read_terminal():
    if select.select([terminal], [], [], 0.1)[0]:
        os.read(terminal, 65536)


os.write(terminal, f"{line}\n".encode())
if not wait_for(True, 30, read_terminal):
    sys.exit("it did not start")
os.close(terminal)
os.waitpid(shell, 0)
print("ended" if wait_for(False, 3, lambda: time.sleep(0.1)) else "goes on")
