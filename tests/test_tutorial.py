"""The tutorial is true: its code runs, prints what is written below it, and makes its pictures."""

import re

import numpy as np
import pytest
import tutorial

pytest.importorskip("matplotlib")
pytest.importorskip("polars")
pytest.importorskip("sklearn")

TEXTS = {page: page.read_text("utf-8") for page in tutorial.PAGES}
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


def ids(page):
    return page.stem


@pytest.fixture(scope="module", params=tutorial.PAGES, ids=ids)
def ran(request, tmp_path_factory):
    """A page, its text after a run, and the folder that its code wrote to."""
    if "import keras" in TEXTS[request.param] and tutorial.backend() is None:
        pytest.skip("Keras, or what it runs on, is not installed")
    folder = tmp_path_factory.mktemp(request.param.stem)
    return request.param, tutorial.text_of(request.param, folder), folder


def is_trained(page):
    """Networks end up a little differently with every version and processor."""
    return "import keras" in TEXTS[page]


def test_printed_is_what_is_written(ran):
    page, text, _ = ran
    written = TEXTS[page]
    if is_trained(page):
        found, expected = (np.array(NUMBER.findall(t), dtype=float) for t in (text, written))
        allowed = np.where(expected <= 1, 0.05, 0.1 * expected + 5)  # shares; counts and percent
        assert found.shape == expected.shape
        assert np.all(np.abs(found - expected) <= allowed)
        text, written = (re.sub(r" *\d+(\.\d+)?", "0", t) for t in (text, written))
    assert text.splitlines() == written.splitlines()


def test_pictures_are_made_by_the_code(ran):
    page, _, folder = ran
    made = sorted(file.name for file in folder.iterdir())
    assert made == sorted(set(tutorial.PICTURE.findall(TEXTS[page])))
    for name in [] if is_trained(page) else made:
        assert looks_like(folder / name, tutorial.FOLDER / name), (
            f"{name} is not what is shown; python tests/tutorial.py draws it anew"
        )


def squares(file, size=40):
    """The mean colour of each square of a picture."""
    from matplotlib.image import imread

    image = imread(file)[:, :, :3]
    rows, columns = image.shape[0] // size, image.shape[1] // size
    image = image[: rows * size, : columns * size].reshape(rows, size, columns, size, 3)
    return image.mean(axis=(1, 3))


def looks_like(file, other):
    """Whether two pictures have one size, and nearly the same colours nearly everywhere.

    Between matplotlib 3.9 and 3.11 0.3 % of the squares differ by as much, because letters and
    ticks moved a little; between pictures of other data of the same kind 6 % or more.
    """
    a, b = squares(file), squares(other)
    if a.shape != b.shape:
        return False
    return bool(np.mean(np.abs(a - b).max(axis=2) > 0.1) < 0.01)


def test_what_looks_alike(tmp_path):
    from fastreg.plotting import PolynomialFitDisplay

    class Line:
        def __init__(self, slope):
            self.slope = slope

        def predict(self, X):
            return self.slope * X[:, 0]

    x = np.linspace(0, 1, 5)
    for name, slope, style in (
        ("one", 1.0, "light"),
        ("same", 1.0, "light"),
        ("other", 0.8, "light"),
        ("dark", 1.0, "dark"),
    ):
        fits = {"line": Line(slope)}
        PolynomialFitDisplay.from_result(fits, x, x, style=style).save(tmp_path / f"{name}.png")
    assert looks_like(tmp_path / "one.png", tmp_path / "same.png")
    assert not looks_like(tmp_path / "one.png", tmp_path / "other.png")
    assert not looks_like(tmp_path / "one.png", tmp_path / "dark.png")


def test_the_runner_sees_what_a_page_does(tmp_path):
    page = tmp_path / "page.md"
    text = (
        "```python\na = 1\nprint(a)\n```\n\n```text\n2\n```\n\nthen\n\n"
        "```python\nopen('x.png', 'w').close()\n```\n"
    )
    folder = tmp_path / "made"
    folder.mkdir()
    assert tutorial.run(page, text, folder) == text.replace("2\n", "1\n")
    assert (folder / "x.png").is_file()
    with pytest.raises(ZeroDivisionError) as caught:
        tutorial.run(page, "A\n\n```python\n1 / 0\n```\n", folder)
    assert caught.traceback[-1].lineno == 3  # counted from 0


def test_every_file_is_shown_or_linked():
    shown = {"README.md"}
    for text in TEXTS.values():
        shown.update(tutorial.PICTURE.findall(text))
        shown.update(re.findall(r"\]\((\w+\.md)\)", text))
    assert shown == {file.name for file in tutorial.FOLDER.iterdir()}


@pytest.mark.parametrize("page", tutorial.PAGES, ids=ids)
def test_pictures_are_there_in_light_and_dark(page):
    for picture in re.findall(r"<picture>.*?</picture>", TEXTS[page], re.DOTALL):
        dark, light = tutorial.PICTURE.findall(picture)
        assert light.removesuffix("-light.png") == dark.removesuffix("-dark.png")
        assert '"(prefers-color-scheme: dark)"' in picture
        assert re.search(r'alt="[^"]{20,}"', picture)


def test_pictures_are_small():
    assert sum(file.stat().st_size for file in tutorial.FOLDER.glob("*.png")) < 1.5e6


@pytest.mark.parametrize("page", tutorial.PAGES, ids=ids)
def test_every_number_in_a_sentence_is_in_code_or_output(page):
    text = TEXTS[page].split("## Further reading")[0]
    blocks = "".join(re.findall(r"```.*?```", text, re.DOTALL))
    prose = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$]+\$|`[^`]+`|<[^>]+>", "", text, flags=re.DOTALL)
    prose = re.sub(r"L[12]\b|\b[Pp]arts? \d|^\d\. ", "", prose, flags=re.MULTILINE)
    known = set(NUMBER.findall(blocks))
    assert [number for number in NUMBER.findall(prose) if number not in known] == []


@pytest.mark.parametrize("page", tutorial.PAGES, ids=ids)
def test_no_block_is_left_out_of_the_run(page):
    rest = tutorial.BLOCK.sub("", TEXTS[page])
    assert "```" not in rest
