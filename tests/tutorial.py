"""The pages of the tutorial, run block by block: code, what it prints, the pictures it saves.

``python tests/tutorial.py`` runs them all and writes their outputs and pictures anew.
"""

import contextlib
import io
import re
import tempfile
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


def main():
    from PIL import Image  # which matplotlib needs and brings

    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(run(page, page.read_text("utf-8"), folder), "utf-8")
            for picture in Path(folder).iterdir():
                # a palette makes the file a third as large, and looks the same
                Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
                    FOLDER / picture.name, optimize=True
                )


if __name__ == "__main__":
    main()
