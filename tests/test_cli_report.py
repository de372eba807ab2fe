"""The page of --report: whole in itself, safe, and readable on a phone."""

import base64
import html
import json
import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from commandline import QUICK, works, write_csv

import fastreg

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VOID = {"meta", "link", "img", "source", "br", "hr"}
EVIL = ["<script>alert(1)</script>", "a & b \"c\" 'd'", "</title></style>", "{{ 7 * 7 }}"]


class Page(HTMLParser):
    """Reads a page: its elements, their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.style = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the terminal says, and the page."""
    folder = tmp_path_factory.mktemp("report")
    data = write_csv(folder / "data.csv")
    plain = ("-t", "y", "--report", folder / "r.html")
    base = (*plain, *QUICK)
    said = {}
    for name, words in {
        "compare": ("compare", data, *base),
        "test": ("compare", data, *base, "--test-size", 0.2, "--degree", 2),
        "validate": ("validate", data, *base, "--degree", "1-2", "-p", "elasticnet"),
        "none": ("validate", data, *plain, "--degree", "1-2", "-p", "none"),
    }.items():
        out = works(*words)
        said[name] = (out, (folder / "r.html").read_text(encoding="utf-8"))
    return said


NAMES = ["compare", "test", "validate", "none"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_from_elsewhere(made, name):
    page = Page(made[name][1])
    assert page.all("script") == []
    for tag, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("src", "srcset", "href", "action", "data", "poster"):
                assert value.startswith(("data:", "#")), (tag, key, value[:80])
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert not re.search(r"https?://", made[name][1])


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_well_made(made, name):
    page = Page(made[name][1])
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for key in ("aria-labelledby", "aria-describedby", "for"):
            assert set(attributes.get(key, "").split()) <= set(ids)
    assert page.all("html")[0]["lang"] == "en"
    (viewport,) = [m["content"] for m in page.all("meta") if m.get("name") == "viewport"]
    assert "width=device-width" in viewport
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert page.all("table")


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_there_in_light_and_dark(made, name):
    page = Page(made[name][1])
    images, sources = page.all("img"), page.all("source")
    assert len(images) == len(sources) >= (1 if name != "none" else 0)
    for image, source in zip(images, sources, strict=True):
        assert source["media"] == "(prefers-color-scheme: dark)"
        assert image["src"] != source["srcset"]
        for address in (image["src"], source["srcset"]):
            raw = base64.b64decode(address.removeprefix("data:image/png;base64,"), validate=True)
            assert raw.startswith(b"\x89PNG")
            width, height = struct.unpack(">II", raw[16:24])
            ratio = int(image["width"]) / int(image["height"])
            assert abs(width / height - ratio) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_the_terminal_says(made, name):
    out, text = made[name]
    page = Page(text)
    begins = ("Proof", "Each", "This error", "Folds", "Proven", "Its lead")
    sentences = re.split(r"(?<=\.) (?=[A-Z])", out.partition("Report:")[0])
    known = [sentence.strip() for sentence in sentences if sentence.startswith(begins)]
    assert len(known) >= 2
    for sentence in known:
        assert sentence in page.words
    assert "How it was made fastreg" in page.words
    assert "--report" in page.words


def test_names_are_escaped(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = X @ [1.0, 2.0, 3.0, 4.0] + 0.1 * rng.normal(size=60)
    quoted = ['"' + name.replace('"', '""') + '"' for name in [*EVIL, "<b>y</b>"]]
    rows = [",".join(map(repr, map(float, row))) for row in np.column_stack([X, y])]
    path = tmp_path / "<i>d&.csv"
    path.write_text("\n".join([",".join(quoted), *rows]) + "\n")
    works("compare", path, "-t", "<b>y</b>", *QUICK, "--report", tmp_path / "r.html")
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "b"}
    assert len(page.all("title")) == len(page.all("style")) == 1
    for name in [*EVIL, "<b>y</b>", "<i>d&.csv"]:
        assert name in page.words
    assert "49" not in page.words.split()


def test_the_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    data = write_csv(tmp_path / "data.csv")
    monkeypatch.setattr("fastreg.cli.pictures.for_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        works("compare", data, "-t", "y", *QUICK, "--report", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["x", "W" * 40])
def test_labels_of_small_pictures_are_not_cut(name):
    from fastreg.plotting import CoefficientPathDisplay, small_png

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    path = fastreg.solve_path(X, X @ [1.0, -2.0, 3.0], n_alphas=9)
    drawn = []

    def draw(ax):
        names = [f"{name}{j}" for j in range(3)]
        drawn.append(
            CoefficientPathDisplay.from_result(path, feature_names=names, ax=ax, ylabel="")
        )
        return drawn[-1]

    raw = small_png(draw, size=(4.0, 3.0), dpi=100)
    width, height = struct.unpack(">II", raw[16:24])
    assert height == 300
    assert width >= 400
    (display,) = drawn
    for text in display.texts_:
        box = text.get_window_extent()
        assert box.x1 <= display.figure_.bbox.width
    assert display.ax_.get_position().width * width > 150


@pytest.mark.parametrize("size", [1.0, 1e5, 1e-4])
def test_long_numbers_at_the_left_push_nothing_out(size):
    from fastreg.plotting import ValidationCurveDisplay, small_png

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = size * (X @ [1.0, -2.0, 3.0] + rng.normal(size=50))
    found = fastreg.validate(X, y, n_alphas=9, scoring="mean_absolute_error")
    drawn = []

    def draw(ax):
        drawn.append(ValidationCurveDisplay.from_result(found, ax=ax, ylabel="error (y)"))
        return drawn[-1]

    small_png(draw, size=(4.0, 3.0), dpi=100)
    (display,) = drawn
    assert display.ax_.yaxis.get_tightbbox().x0 >= 0.0
    assert "e+" not in " ".join(text.get_text() for text in display.texts_)


# In a browser

HARNESS = """<!doctype html><title>wait</title><body><script>
const found = {}, widths = [360, 1280];
let left = widths.length;
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:800px;border:0`;
  frame.srcdoc = PAGE;
  frame.onload = () => {
    const page = frame.contentDocument, view = frame.contentWindow;
    const images = [...page.images];
    found[width] = {
      scroll: page.documentElement.scrollWidth,
      paper: view.getComputedStyle(page.body).backgroundColor,
      title: page.querySelector("h1").textContent,
      broken: images.filter(image => !image.complete || !image.naturalWidth).length,
      images: images.map(image => image.currentSrc.slice(-40)),
      small: [...page.querySelectorAll("p,td,th,dd,dt,span,figcaption")].filter(
        e => e.textContent.trim() && parseFloat(view.getComputedStyle(e).fontSize) < 12).length,
      whole: page.querySelectorAll(".whole").length,
      torn: [...page.querySelectorAll(".whole")].filter(
        e => e.getClientRects().length > 1).map(e => e.textContent),
      wide: images.filter(image => !image.closest("figure.wide")
        && image.getBoundingClientRect().right > width).length,
    };
    left -= 1;
    if (!left) document.body.textContent = "RESULT" + JSON.stringify(found) + "END";
  };
  document.body.append(frame);
}
</script>"""


def looked_at(browser, folder, page, *, dark):
    """Open a page on a phone and on a desk, and return what the browser measures there."""
    source = json.dumps(page).replace("</", "<\\/").replace("<!--", "<\\!--")
    (folder / "harness.html").write_text(HARNESS.replace("PAGE", source), encoding="utf-8")
    run = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--window-size=1400,900",
            "--virtual-time-budget=20000",
            "--dump-dom",
            (folder / "harness.html").as_uri(),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    found = re.search(r"RESULT(.*)END", run.stdout)
    assert found, run.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("name", ["test", "validate"])
def test_in_a_browser(made, name, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser on PATH: none of {', '.join(BROWSERS)}")
    page = made[name][1]
    light, dark = (looked_at(browser, tmp_path, page, dark=dark) for dark in (False, True))
    for seen in (light, dark):
        for width in ("360", "1280"):
            one = seen[width]
            assert one["scroll"] <= int(width), f"the page scrolls sideways at {width} px"
            assert one["broken"] == one["wide"] == one["small"] == 0
            assert "y" in one["title"].split()
            assert one["whole"] > 1
            assert one["torn"] == []
    assert light["360"]["paper"] != dark["360"]["paper"]
    assert light["360"]["images"] != dark["360"]["images"]
