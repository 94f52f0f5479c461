#!/usr/bin/env python3
"""What a driver image, and the archive it is made of, must look like.

pe_check.py [--objdump PROGRAM] [--archive FILE.a] IMAGE.sys ...
Prints one line per fault and exits 1 when there are any. Source: Microsoft's PE format
specification; winnt.h.
"""
import argparse
import re
import struct
import subprocess
import sys

NATIVE_SUBSYSTEM = 1
MACHINE_X64, MACHINE_I386 = 0x8664, 0x14C
DYNAMIC_BASE, NX_COMPAT, HIGH_ENTROPY = 0x40, 0x100, 0x20
EXPORT, IMPORT, BASE_RELOCATION, TLS = 0, 1, 5, 9
EXECUTE, WRITE = 0x20000000, 0x80000000
MAY_IMPORT_FROM = {"ntoskrnl.exe", "hal.dll"}
# Constructor and destructor lists, thread storage: nobody runs or fills them in a kernel.
NO_SUCH_SECTION = re.compile(r"^\.(CRT|tls|ctors|dtors|init_array|fini_array)\b")


class Image:
    """The parts of a PE file that the checks ask for."""

    def __init__(self, data):
        self.data = data
        header = self.u32(0x3C)
        if data[:2] != b"MZ" or data[header:header + 4] != b"PE\0\0":
            raise ValueError("not a PE image")
        self.machine, count, _, symbols, symbol_count, optional_size, _ = struct.unpack_from(
            "<HHIIIHH", data, header + 4)
        optional = header + 24
        self.is_64 = struct.unpack_from("<H", data, optional)[0] == 0x20B
        self.entry = self.u32(optional + 16)
        self.subsystem, self.characteristics = struct.unpack_from("<HH", data, optional + 68)
        first = optional + (112 if self.is_64 else 96)
        self.directories = [struct.unpack_from("<II", data, first + 8 * i)
                            for i in range(self.u32(first - 4))]
        strings = symbols + 18 * symbol_count
        self.sections = [self.section(optional + optional_size + 40 * i, strings)
                         for i in range(count)]

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def text(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode("latin1")

    def section(self, at, strings):
        name = self.data[at:at + 8].rstrip(b"\0").decode("latin1")
        if name.startswith("/"):
            name = self.text(strings + int(name[1:]))
        size, address, raw_size, raw = struct.unpack_from("<IIII", self.data, at + 8)
        return name, address, max(size, raw_size), raw, self.u32(at + 36)

    def offset(self, address):
        for _, start, size, raw, _ in self.sections:
            if start <= address < start + size:
                return address - start + raw
        raise ValueError(f"address {address:#x} is in no section")

    def imports(self):
        """{module: [symbol, ...]}"""
        found = {}
        if not self.directories[IMPORT][0]:
            return found
        at = self.offset(self.directories[IMPORT][0])
        width, form = (8, "<Q") if self.is_64 else (4, "<I")
        while self.u32(at + 12):
            thunk = self.offset(self.u32(at) or self.u32(at + 16))
            names = found.setdefault(self.text(self.offset(self.u32(at + 12))).lower(), [])
            while value := struct.unpack_from(form, self.data, thunk)[0]:
                names.append(f"#{value & 0xFFFF}" if value >> (8 * width - 1)
                             else self.text(self.offset(value) + 2))
                thunk += width
            at += 20
        return found


def faults_of_image(image):
    if image.machine not in (MACHINE_X64, MACHINE_I386):
        yield f"machine {image.machine:#x} is neither x64 nor i386"
    if image.subsystem != NATIVE_SUBSYSTEM:
        yield f"subsystem {image.subsystem} is not native (1)"
    if not image.entry:
        yield "no entry point: link with --entry"
    wanted = DYNAMIC_BASE | NX_COMPAT | (HIGH_ENTROPY if image.is_64 else 0)
    if image.characteristics & wanted != wanted:
        yield f"characteristics {image.characteristics:#x} lack some of {wanted:#x}"
    if image.directories[EXPORT][0]:
        yield "exports symbols: a driver has no callers by name"
    if image.directories[TLS][0]:
        yield "has a TLS directory: no thread_local in a driver"
    # On x64 nothing needs relocation when all code is relative; on i386 something always does.
    if not image.is_64 and not image.directories[BASE_RELOCATION][1]:
        yield "cannot be relocated: no base relocations"
    for name, _, _, _, flags in image.sections:
        if NO_SUCH_SECTION.match(name):
            yield f"section {name}: no static constructors, destructors or thread storage"
        if flags & EXECUTE and flags & WRITE:
            yield f"section {name} is both writable and executable"
    for module, names in image.imports().items():
        if module not in MAY_IMPORT_FROM:
            yield f"imports {', '.join(names)} from {module}"


def faults_of_archive(path, objdump):
    """The linker folds constructor lists into .text: only the objects still show them."""
    listing = subprocess.run([objdump, "-h", path], check=True, capture_output=True, text=True)
    member = path
    for line in listing.stdout.splitlines():
        if started := re.match(r"^(\S+):\s+file format", line):
            member = started[1]
        section = re.match(r"^\s*\d+ (\S+)\s+([0-9a-f]+) ", line)
        if section and NO_SUCH_SECTION.match(section[1]) and int(section[2], 16):
            yield f"{member}: section {section[1]}: make its static objects constinit"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--archive", action="append", default=[])
    parser.add_argument("images", nargs="+")
    arguments = parser.parse_args()

    faults = []
    for archive in arguments.archive:
        faults += faults_of_archive(archive, arguments.objdump)
    for path in arguments.images:
        with open(path, "rb") as file:
            image = Image(file.read())
        faults += [f"{path}: {fault}" for fault in faults_of_image(image)]
        for module, names in sorted(image.imports().items()):
            print(f"{path}: {module}: {' '.join(sorted(names))}")
    for fault in faults:
        print(f"pe_check: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
