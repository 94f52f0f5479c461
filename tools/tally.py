#!/usr/bin/env python3
"""Counts the tests of a ctest JUnit file: prints "passed failed skipped".

Names on standard error each one that failed, with what it said first.

A program that reports its own cases in Google Test's summary lines, or as `ringside
conformance` does, counts by case, any other test as one. A canary has to report a failure;
whether it did is ctest's to say, so it counts as one.
"""
import re
import sys
import xml.etree.ElementTree as ET


def count(summary, text):
    return sum(int(n) for n in re.findall(r"^\[  %s \] (\d+) tests?" % summary, text, re.M))


def lines_of_failure(text):
    """What a failing program printed of its failures, the first twenty lines of it."""
    wanted = re.compile(
        r"Failure$|^\[  FAILED  \] |^FAIL|^ERROR|^CRASH|AddressSanitizer|runtime error"
    )
    lines = text.splitlines()
    kept = [i for i, line in enumerate(lines) if wanted.search(line)]
    shown = sorted({j for i in kept for j in range(i, min(i + 4, len(lines)))})
    return [lines[j] for j in shown[:20]]


OWN = re.compile(
    r"^\d+ tests: (\d+) passed, (\d+) failed, (\d+) crashed, (\d+) errors, (\d+) skipped", re.M
)


def tally(path):
    passed = failed = skipped = 0
    for case in ET.parse(path).getroot().iter("testcase"):
        text = case.findtext("system-out") or ""
        status = case.get("status")
        if status in ("notrun", "disabled") or case.find("skipped") is not None:
            skipped += 1
        elif status == "run" and count("FAILED ", text):
            passed += 1
        elif re.search(r"^\[=+\] \d+ tests? from \d+ test suites? ran", text, re.M):
            lost = count("FAILED ", text)
            passed += count("PASSED ", text)
            skipped += count("SKIPPED", text)
            failed += lost if lost or status == "run" else 1
        elif own := OWN.search(text):
            ok, bad, crashed, errors, left_out = map(int, own.groups())
            lost = bad + crashed + errors
            passed += ok
            skipped += left_out
            failed += lost if lost or status == "run" else 1
        elif status == "run":
            passed += 1
        else:
            failed += 1
        if status == "fail":
            lines = [f"{case.get('name')} failed:", *lines_of_failure(text)]
            print("\n   ".join(lines), file=sys.stderr)
    return passed, failed, skipped


try:
    print(*tally(sys.argv[1]))
except (OSError, ET.ParseError):
    print("0 0 0")
