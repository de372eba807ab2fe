"""Print the reports of sanitizers in a folder, without what others have lost; 1 if one remains.

Usage: python ci/sanitizer_reports.py FOLDER

Lost memory is ours when it was asked for by compiled code of ours. Python and the libraries that it
loads let the system take back much of theirs when they end.
"""

import re
import sys
from pathlib import Path

LEAK = re.compile(r"^(?:Direct|Indirect) leak of .*?\n(?:    #.*\n)+", re.M)
OURS = re.compile(r"/fastreg/.*\.so")
# The frames between the allocator and whoever asked Python for an object.
NEAR = 6


def findings(text):
    """What remains of a report."""
    if "LeakSanitizer: detected memory leaks" not in text:
        return text
    leaks = LEAK.findall(text)
    ours = [leak for leak in leaks if OURS.search("".join(leak.splitlines(True)[: NEAR + 1]))]
    return "\n".join(ours)


def main(folder):
    reports = sorted(Path(folder).glob("report*"))
    left = [found for file in reports if (found := findings(file.read_text(errors="replace")))]
    for found in left:
        print(found)
    print(f"{len(left)} of {len(reports)} reports of the sanitizers are about fastreg")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
