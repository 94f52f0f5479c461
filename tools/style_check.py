#!/usr/bin/env python3
"""The rules of the house that a machine can see.

style_check.py [ROOT]       prints file:line, what is wrong and what to do; exits 1 if anything is
style_check.py --self-test  shows that each check finds what it is for
"""
import json
import os
import re
import sys
import tempfile

MAX_LINE, MAX_FUNCTION, MAX_FILE = 100, 70, 500
FOLDERS = {  # folder: what it may include from
    "protocols": {"protocols"},
    "sim": {"protocols", "sim"},
    "backends": {"protocols", "sim", "backends"},
    "conformance": {"protocols", "sim", "backends", "conformance"},
    "benches": {"protocols", "sim", "backends", "conformance", "benches"},
    "kernel": {"protocols", "kernel"},
}
# What a Windows kernel image can be compiled with (C++20, freestanding), and no more.
FREESTANDING = set(
    "algorithm array atomic bit charconv compare concepts cstddef cstdint cstring "
    "initializer_list iterator limits new numeric optional span string_view tuple "
    "type_traits utility variant".split())
XEN_HEADERS_IN = "protocols/platform/xen.hpp"
TARGET_MACRO = re.compile(
    r"^\s*#\s*(?:el)?if.*\b(_WIN32|_WIN64|_MSC_VER|__MINGW\w*|__linux__|__unix__|__APPLE__"
    r"|__x86_64__|__i386__)\b")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|\bnot (yet )?implem" r"ented\b"
                        r"|\bst" r"ubs?\b|\bplaceh" r"olders?\b")
CANNOT_FAIL = re.compile(r"\b(?:EXPECT|ASSERT)_TRUE\(true\)|\bSUCCEED\(\)|\bDISABLED_\w+")
TEST = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\)", re.M)
TEST_NAME = re.compile(r"(?:[A-Z]+(?:_[A-Z]+)*_[0-9]{3}_)*(?:[A-Z]_)?[A-Z][A-Za-z0-9]*")
ID_IN_NAME = re.compile(r"[A-Z]+(?:_[A-Z]+)*_[0-9]{3}(?=_)")
NOT_A_FUNCTION = re.compile(
    r"^\s*(?:if|else|for|while|switch|do|try|catch|namespace|class|struct|union|enum|extern)\b")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def code_only(text):
    """The text with comments, strings and preprocessor lines blanked; lines stay where they are."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', blank, text, flags=re.S)
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def functions(text):
    """(first line, lines) of each outermost function body, header included."""
    code = code_only(text)
    stack, statement = [], 0
    for at, letter in enumerate(code):
        if letter == "{":
            header = code[statement:at]
            inside = any(kind for kind, _ in stack)
            bare = re.sub(r"^\s*template\s*<[^{};]*?>\s*(?=\w)", "", header)
            is_function = not inside and ")" in header and not NOT_A_FUNCTION.match(bare)
            stack.append((is_function, statement + len(header) - len(header.lstrip())))
            statement = at + 1
        elif letter == "}" and stack:
            is_function, start = stack.pop()
            if is_function:
                first = code.count("\n", 0, start) + 1
                yield first, code.count("\n", 0, at) + 2 - first
            statement = at + 1
        elif letter == ";":
            statement = at + 1


def check_size(path, text):
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            yield number, f"{len(line)} columns: break the line at {MAX_LINE}"
    if len(lines) - 1 > MAX_FILE:
        yield 1, f"{len(lines) - 1} lines: a file over {MAX_FILE} wants to be two"
    if path.endswith((".cpp", ".hpp")):
        for number, length in functions(text):
            if length >= MAX_FUNCTION:
                yield number, f"a function of {length} lines: split it, {MAX_FUNCTION} is too many"


def check_includes(path, text, exists):
    top = path.split("/")[0]
    hosted = path.endswith(("_test.cpp", "_test.hpp", "_fuzz.cpp", "_fuzz.hpp"))
    for number, line in enumerate(text.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if include and include[1] == '"':
            if include[2].split("/")[0] not in FOLDERS[top]:
                allowed = ", ".join(sorted(FOLDERS[top]))
                yield number, f"{top}/ must not include {include[2]}: only from {allowed}"
            elif not exists(include[2]):
                yield number, f"{include[2]}: write the path from the root of the repository"
        elif include and top == "protocols":
            name = include[2]
            if name.startswith("xen/"):
                if path != XEN_HEADERS_IN:
                    yield number, f"<{name}>: include {XEN_HEADERS_IN}, it mends the layouts"
            elif not hosted and name not in FREESTANDING:
                yield number, f"<{name}>: protocols/ is freestanding; use protocols/platform/"
        if top == "protocols" and path != XEN_HEADERS_IN and TARGET_MACRO.match(line):
            yield number, "asks for a target: protocols/ is the same everywhere, use the platform"
    if path.endswith(".hpp") and "#pragma once" not in text:
        yield 1, "no include guard: begin with #pragma once"


def check_words(text):
    for number, line in enumerate(text.split("\n"), 1):
        if word := UNFINISHED.search(line):
            yield number, f"'{word[0]}': finish it, or leave it out and open an issue"


def check_tests(text):
    for number, line in enumerate(text.split("\n"), 1):
        if found := CANNOT_FAIL.search(line):
            yield number, f"{found[0]}: a test that cannot fail; test something or remove it"
    for test in TEST.finditer(text):
        if not TEST_NAME.fullmatch(test[1]):
            number = text.count("\n", 0, test.end()) + 1
            yield number, f"test {test[1]}: name it RULE_NNN_WhatHolds, or WhatHolds in a unit test"


def check_rule_ids(text, rules):
    """Ids in comments and test names; that covered rules have tests is for `rules check`."""
    families = "|".join(sorted({rule[:-4] for rule in rules}, key=len, reverse=True))
    if not families:
        return
    written = re.compile(rf"\b(?:{families})-[0-9]{{3}}\b")
    for number, line in enumerate(text.split("\n"), 1):
        ids = set(written.findall(line))
        if test := TEST.match(line):
            ids |= {name.replace("_", "-") for name in ID_IN_NAME.findall(test[1])}
        for rule in sorted(ids - rules):
            yield number, f"{rule} is in no conformance/rules/*.json: add it or correct the id"


def sources(root):
    for top in (*sorted(FOLDERS), "cmake", "tools", "docs"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".cpp", ".hpp", ".py", ".sh", ".cmake", ".md", "CMakeLists.txt")):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def rule_ids(root):
    folder = os.path.join(root, "conformance/rules")
    ids = set()
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            ids |= {rule["id"] for rule in json.load(file)}
    return ids


def faults(root):
    """(file, line, what is wrong and what to do)"""
    rules = rule_ids(root)
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        found = []
        if path.endswith((".cpp", ".hpp", ".py")):
            found += check_size(path, text)
        found += check_words(text)
        if path.endswith((".cpp", ".hpp")):
            found += check_includes(path, text, lambda p: os.path.exists(os.path.join(root, p)))
            found += check_tests(text)
            found += check_rule_ids(text, rules)
        for number, what in sorted(found):
            yield path, number, what


def long_function(name, lines):
    return f"template <typename T>\nint {name}(T t) {{\n" + "  ++t;\n" * (lines - 3) + "}\n"


BAD = [  # (file, text, line, what the fault must say)
    ("protocols/a.cpp", "\n" + "x" * 101, 2, "101 columns"),
    ("protocols/a.cpp", "\n" * 501, 1, "501 lines"),
    ("protocols/a.cpp", "namespace a {\n" + long_function("f", 70) + "}\n", 2, "of 70 lines"),
    ("sim/a.cpp", "namespace {\nclass A {\n" + long_function("f", 71) + "};\n}\n", 3, "of 71"),
    ("protocols/a.cpp", '#include "sim/world/world.hpp"\n', 1, "must not include"),
    ("sim/a.hpp", '#pragma once\n#include "backends/b.hpp"\n', 2, "must not include"),
    ("kernel/a.cpp", '#include "sim/world/world.hpp"\n', 1, "must not include"),
    ("sim/a.cpp", '#include "a.hpp"\n', 1, "must not include"),
    ("sim/a.cpp", '#include "sim/missing.hpp"\n', 1, "path from the root"),
    ("protocols/a.cpp", "#include <string>\n", 1, "freestanding"),
    ("protocols/a.cpp", "#include <sys/mman.h>\n", 1, "freestanding"),
    ("protocols/a_test.cpp", '#include "sim/b.hpp"\n', 1, "must not include"),
    ("protocols/a.cpp", "#include <xen/xen.h>\n", 1, "mends the layouts"),
    ("protocols/a.cpp", "#if defined(_WIN32)\n#endif\n", 1, "asks for a target"),
    ("protocols/a.cpp", "#ifdef __linux__\n#endif\n", 1, "asks for a target"),
    ("sim/a.hpp", "int a();\n", 1, "#pragma once"),
    ("sim/a.cpp", "// TO" "DO: later\n", 1, "finish it"),
    ("docs/a.md", "This is a st" "ub.\n", 1, "finish it"),
    ("sim/a_test.cpp", "TEST(A, B) { EXPECT_TRUE(true); }\n", 1, "cannot fail"),
    ("sim/a_test.cpp", "TEST(A, does_things) {}\n", 1, "name it"),
    ("conformance/ring/a_test.cpp", "TEST(A, RING_998_Holds) {}\n", 1, "RING-998 is in no"),
    ("protocols/a.cpp", "\n// RING-997: why\n", 2, "RING-997 is in no"),
]
GOOD = [
    ("protocols/a.cpp", "#include <array>\n// RING-001: \"{\" {{{\nint f() { return '{'; }\n"),
    ("protocols/a_test.cpp", "#include <string>\n\nTEST(A, RING_001_RING_002_Holds) {}\n"),
    ("protocols/a_fuzz.hpp", "#pragma once\n\n#include <map>\n"),
    (XEN_HEADERS_IN, "#pragma once\n#if defined(_WIN64)\n#endif\n#include <xen/xen.h>\n"),
    ("sim/a.cpp", "namespace a {\n" + long_function("f", 69) + long_function("g", 69) + "}\n"),
    ("sim/b.cpp", "struct A {\n" + "  int a(int);\n" * 90 + "};\n"),
    ("tools/a.sh", "mktemp -d /tmp/a.X" "XXXXX\n"),
]


def self_test():
    def check(files):
        with tempfile.TemporaryDirectory() as root:
            files = [*files, ("conformance/rules/ring.json",
                              '[{"id": "RING-001"}, {"id": "RING-002"}]')]
            for path, text in files:
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return list(faults(root))

    wrong = 0
    for path, text, line, what in BAD:
        found = check([(path, text)])
        if not any(f[:2] == (path, line) and what in f[2] for f in found):
            wrong += 1
            print(f"not found: {path}:{line}: {what}; found: {found}")
    for fault in check(GOOD):
        wrong += 1
        print(f"found where nothing is wrong: {fault}")
    print(f"{len(BAD)} bad samples, {len(GOOD)} good ones, {wrong} misjudged")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(__file__)) or "."
    count = 0
    for path, number, what in faults(root):
        count += 1
        print(f"{path}:{number}: {what}")
    print(f"style: {count} to mend" if count else "style: nothing to mend")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
