"""Runs a program in a pseudo-terminal: python3 pseudo-terminal.py COLUMNS ROWS PROGRAM ARGUMENTS...

What the terminal shows goes to stdout. A line on stdin is an order: `size COLUMNS ROWS`, or `type TEXT` with TEXT as
JSON. The end of stdin is none. Ends with the program, with its exit code.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios


def set_size(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def obey(order, terminal, child):
    word, _, rest = order.partition(" ")
    if word == "size":
        columns, rows = map(int, rest.split())
        set_size(terminal, columns, rows)
        os.kill(child, signal.SIGWINCH)
    elif word == "type":
        os.write(terminal, json.loads(rest).encode())


def main():
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    ready, go = os.pipe()
    child, terminal = pty.fork()
    if child == 0:
        os.close(go)
        os.read(ready, 1)
        os.execvp(sys.argv[3], sys.argv[3:])
    set_size(terminal, columns, rows)
    os.close(ready)
    os.write(go, b"x")
    sources, orders = [terminal, 0], b""
    while True:
        readable, _, _ = select.select(sources, [], [])
        if 0 in readable:
            some = os.read(0, 65536)
            if not some:
                sources = [terminal]
            *whole, orders = (orders + some).split(b"\n")
            for order in whole:
                obey(order.decode(), terminal, child)
        if terminal in readable:
            try:
                shown = os.read(terminal, 65536)
            except OSError:
                shown = b""
            if not shown:
                break
            os.write(1, shown)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
