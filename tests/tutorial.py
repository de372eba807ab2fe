"""The pages of the tutorial, run block by block: code, what it prints, the pictures it saves.

``python tests/tutorial.py`` runs them all and writes their outputs and pictures anew.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "fastreg" / "tutorial"
PAGES = sorted(FOLDER.glob("*.md"))

# A block of code, and after an empty line what it printed, if anything.
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)
PICTURE = re.compile(r'(?:src|srcset)="([^"]*)"')


def run(page, text, folder):
    """Run the code of a page in one namespace, with its files going to a folder.

    Returns the text as it should be: with what every block has printed below it.
    """
    names = {"__name__": page.stem}

    def printed(block):
        line = text.count("\n", 0, block.start(1))
        code = compile("\n" * line + block[1], str(page), "exec")  # errors name the page's line
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.chdir(folder):
            exec(code, names)
        output = f"\n```text\n{out.getvalue()}```\n" if out.getvalue() else ""
        return f"```python\n{block[1]}```\n{output}"

    return BLOCK.sub(printed, text)


def backend():
    """Return what Keras can run on here, or None."""
    installed = [name for name in ("jax", "torch", "tensorflow") if find_spec(name)]
    return installed[0] if installed and find_spec("keras") else None


def run_apart(page, folder):
    """`run` in a process of its own: the libraries under Keras start threads and warn freely."""
    environment = {**os.environ, "KERAS_BACKEND": backend(), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, str(page), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return ran.stdout


def text_of(page, folder):
    """Return what the text of a page should be."""
    text = page.read_text("utf-8")
    return run_apart(page, folder) if "import keras" in text else run(page, text, folder)


def main():
    if len(sys.argv) == 3:
        page = Path(sys.argv[1])
        print(run(page, page.read_text("utf-8"), sys.argv[2]), end="")
        return
    from PIL import Image  # which matplotlib needs and brings

    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(text_of(page, folder), "utf-8")
            for picture in Path(folder).iterdir():
                # a palette makes the file a third as large, and looks the same
                Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
                    FOLDER / picture.name, optimize=True
                )


if __name__ == "__main__":
    main()
