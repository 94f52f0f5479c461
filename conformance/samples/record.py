#!/usr/bin/env python3
"""Records what real programs do to a disk image, data included, as a fio I/O log.

    record.py OUT.iolog OUT.data.gz IMAGE -- COMMAND [ARG...] [-- COMMAND [ARG...]]...

runs each COMMAND under strace and turns its system calls on IMAGE into OUT.iolog (fio I/O
log, version 2) and OUT.data.gz (the data of the log's writes, in order, one after the other).
"""

import gzip
import os
import re
import subprocess
import sys
import tempfile

SECTOR = 512
CALLS = "openat,open,close,dup,lseek,read,write,pread64,pwrite64,fsync,fdatasync,fallocate"
LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += +(-?\d+)")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def decode(arguments):
    """The bytes of the string among the arguments: strace -xx prints each as \\xNN."""
    return bytes.fromhex(STRING.search(arguments)[1].replace("\\x", ""))


class Recorder:
    """Follows the file descriptors that refer to the image."""

    def __init__(self, image):
        self.image = os.path.realpath(image)
        with open(image, "rb") as before:
            self.content = bytearray(before.read())
        self.positions = {}
        self.lines = []
        self.data = []

    def request(self, action, offset, length):
        """Logs the whole sectors around the bytes, as the kernel's cache would ask for them."""
        first = offset // SECTOR * SECTOR
        last = -(-(offset + length) // SECTOR) * SECTOR
        if length > 0:
            self.lines.append(f"/dev/xvda {action} {first} {last - first}")
        return first, last

    def write(self, offset, payload):
        self.content[offset:offset + len(payload)] = payload
        first, last = self.request("write", offset, len(payload))
        if payload:
            self.data.append(bytes(self.content[first:last]))

    def call(self, name, arguments, result):
        if result < 0:
            return
        if name in ("open", "openat"):
            if os.path.realpath(decode(arguments).decode()) == self.image:
                self.positions[result] = 0
            return
        fields = arguments.split(", ")
        fd = int(fields[0]) if fields[0].isdigit() else -1
        if fd not in self.positions:
            return
        if name == "dup":
            self.positions[result] = self.positions[fd]
        elif name == "close":
            del self.positions[fd]
        elif name == "lseek":
            self.positions[fd] = result
        elif name == "read":
            self.request("read", self.positions[fd], result)
            self.positions[fd] += result
        elif name == "write":
            self.write(self.positions[fd], decode(arguments)[:result])
            self.positions[fd] += result
        elif name == "pread64":
            self.request("read", int(fields[-1]), result)
        elif name == "pwrite64":
            self.write(int(fields[-1]), decode(arguments)[:result])
        elif name in ("fsync", "fdatasync"):
            self.lines.append("/dev/xvda sync 0 0")
        elif name == "fallocate":
            # The program relies on the zeroes; on a device it would write them.
            self.write(int(fields[-2]), bytes(int(fields[-1])))

    def run(self, command):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "strace")
            subprocess.run(["strace", "-f", "-o", log, "-e", "trace=" + CALLS, "-xx",
                            "-s", "100000000", *command], check=True)
            with open(log, encoding="ascii") as lines:
                for match in filter(None, map(LINE.match, lines)):
                    self.call(match[1], match[2], int(match[3]))
        self.positions.clear()


def split(words):
    """The commands between the "--"."""
    commands = [[]]
    for word in words:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def main():
    if len(sys.argv) < 6 or sys.argv[4] != "--":
        raise SystemExit(__doc__)
    iolog, data, image = sys.argv[1:4]
    recorder = Recorder(image)
    for command in split(sys.argv[5:]):
        recorder.run(command)
    with open(iolog, "w", encoding="ascii") as out:
        out.write("fio version 2 iolog\n/dev/xvda add\n/dev/xvda open\n")
        out.writelines(line + "\n" for line in recorder.lines)
        out.write("/dev/xvda close\n")
    with open(data, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.writelines(recorder.data)


if __name__ == "__main__":
    main()
