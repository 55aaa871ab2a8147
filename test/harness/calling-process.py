"""A process that connects to a socket and leaves the connection to another, and whose number is then used again.

Usage: calling-process.py SOCKET RELAY CALLER_UID SUCCESSOR_UID

Whoever connects to RELAY talks over the connection that the caller made. Prints the caller's number, then an answer to
every line of its input: `exec` makes the caller another program, `group` gives it another group, `end` ends it, `reuse`
ends it and starts a program of the other user under its number.
"""

import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time

SYS_CLONE3 = 435
PR_SET_PDEATHSIG = 1
GROUP = 54_399
# Unlike CDLL it keeps the interpreter's lock, which the child needs.
libc = ctypes.PyDLL(None, use_errno=True)


def become(uid):
    if uid != 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_caller(path, uid):
    ours, its = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        become(uid)
        signal.signal(signal.SIGUSR1, lambda *_: os.execv("/bin/sleep", ["sleep", "600"]))
        signal.signal(signal.SIGUSR2, lambda *_: os.setgroups([GROUP]))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        socket.send_fds(its, [b"."], [connection.fileno()])
        connection.close()
        while True:
            signal.pause()
    _, [fd], _, _ = socket.recv_fds(ours, 1, 1)
    return pid, socket.socket(fileno=fd)


def start_relay(path, connection):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    pid = os.fork()
    if pid != 0:
        return pid
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    client, _ = listener.accept()
    other = {client: connection, connection: client}
    while True:
        for end in select.select(list(other), [], [])[0]:
            try:
                data = end.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                os._exit(0)
            other[end].sendall(data)


def start_as(pid, uid):
    """Starts a program that has this very number: clone3(2), set_tid."""
    number = ctypes.c_int32(pid)
    arguments = struct.pack("=11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(number), 1, 0)
    ready, its = os.pipe()
    for _ in range(200):
        got = libc.syscall(SYS_CLONE3, arguments, len(arguments))
        if got == 0:
            become(uid)
            os.execv("/bin/sleep", ["sleep", "600"])
        if got == pid:
            os.close(its)
            os.read(ready, 1)  # the program has no copy of the other end
            return
        time.sleep(0.005)
    raise OSError(ctypes.get_errno(), "clone3")


def main():
    path, relay_path, caller_uid, successor_uid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    caller, connection = start_caller(path, caller_uid)
    start_relay(relay_path, connection)
    connection.close()
    print(caller, flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "exec":
            os.kill(caller, signal.SIGUSR1)
        elif command == "group":
            os.kill(caller, signal.SIGUSR2)
        else:
            os.kill(caller, signal.SIGKILL)
            os.waitpid(caller, 0)
            if command == "reuse":
                start_as(caller, successor_uid)
        print(f"done {command}", flush=True)


main()
