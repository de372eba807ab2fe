"""Print two digests: of what decides an environment, and of what is built from this checkout.

Usage: python ci/fingerprint.py EXTRAS
"""

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def main() -> None:
    interpreter = os.path.realpath(sys.executable), sys.version
    flags = [os.environ.get(name) for name in ("CC", "CFLAGS", "LDFLAGS")]
    sources = [ROOT / "meson.build", *sorted((ROOT / "fastreg").rglob("*"))]
    files = [
        (str(file.relative_to(ROOT)), file.read_bytes())
        for file in sources
        if file.is_file() and file.suffix not in {".pyc", ".pyd", ".so"}
    ]
    environment = digest(ROOT, interpreter, sys.argv[1:], (ROOT / "pyproject.toml").read_bytes())
    print(environment, digest(flags, files))


if __name__ == "__main__":
    main()
