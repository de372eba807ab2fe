"""Pictures: what is drawn is what was computed, labels keep apart, nothing global is touched."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from scipy import sparse  # noqa: E402

import fastreg  # noqa: E402
from fastreg.plotting import (  # noqa: E402
    CoefficientPathDisplay,
    ErrorCurve,
    ErrorCurvesDisplay,
    comparison_figure,
    save_figure,
)
from fastreg.plotting._drawing import drawable, shorten, spread  # noqa: E402


def made_up_path(n_features=6, n_alphas=20, seed=0):
    rng = np.random.default_rng(seed)
    alphas = np.geomspace(3.0, 0.003, n_alphas)
    w = rng.normal(size=n_features)
    coef = np.sign(w) * np.maximum(np.abs(w) - alphas[:, None], 0.0)
    return SimpleNamespace(alphas=alphas, coef=coef)


def boxes(figure, texts):
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [text.get_window_extent(renderer) for text in texts]


def overlap(figure, texts):
    found = boxes(figure, texts)
    return any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])


def test_draws_a_real_path():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8))
    y = X[:, 2] * 3.0 - X[:, 5] + rng.normal(size=60)
    path = fastreg.solve_path(X, y, n_alphas=15)
    names = [f"feature {j}" for j in range(8)]
    display = CoefficientPathDisplay.from_result(path, feature_names=names, max_labels=2)
    assert [text.get_text() for text in display.texts_] == ["feature 2", "feature 5"]
    line = display.lines_[0]
    assert np.array_equal(line.get_xdata(), path.alphas)
    assert np.array_equal(line.get_ydata(), path.coef[:, 2])
    left, right = display.ax_.get_xlim()
    assert left == path.alphas[0]
    assert right == path.alphas[-1]
    assert display.error_ax_ is None
    assert list(display.n_kept) == [np.count_nonzero(row) for row in path.coef]


def test_errors_are_drawn_below_and_the_least_is_chosen():
    path = made_up_path()
    errors = (np.arange(20) - 12.0) ** 2 + 5.0
    display = CoefficientPathDisplay.from_result(
        path, validation_error=errors, baselines={"mean only": 100.0, "least squares": 1e9}
    )
    assert display.chosen == 12
    texts = [text.get_text() for text in display.error_ax_.texts]
    assert any(text.startswith("5 at alpha") for text in texts)
    assert "mean only 100" in texts
    assert "least squares 1e+09 ↑" in texts
    assert not overlap(display.figure_, display.error_ax_.texts)


def test_scale_multiplies():
    path = made_up_path(3)
    display = CoefficientPathDisplay.from_result(path, scale=[1.0, 0.0, 100.0], max_labels=1)
    assert display.texts_[0].get_text() == "x2"
    assert np.allclose(display.lines_[0].get_ydata(), 100.0 * path.coef[:, 2])


def test_sparse_paths_draw_the_same():
    path = made_up_path(5)
    path.coef[:, [1, 3]] = 0.0
    packed = SimpleNamespace(alphas=path.alphas, coef=sparse.csr_array(path.coef))
    dense = CoefficientPathDisplay.from_result(path)
    display = CoefficientPathDisplay.from_result(packed)
    assert [t.get_text() for t in display.texts_] == [t.get_text() for t in dense.texts_]
    assert np.array_equal(display.n_kept, dense.n_kept)


@pytest.mark.parametrize("n_features", [1, 2, 30, 20_000])
def test_any_number_of_features(n_features, tmp_path):
    path = made_up_path(n_features)
    display = CoefficientPathDisplay.from_result(path, validation_error=path.alphas)
    assert len(display.texts_) == min(n_features, 10)
    assert not overlap(display.figure_, display.texts_)
    inside = display.figure_.bbox
    for box in boxes(display.figure_, display.texts_):
        assert box.x1 <= inside.x1
        assert box.y0 >= inside.y0
    display.save(tmp_path / "path.png")


def test_labels_of_equal_lines_keep_apart():
    path = made_up_path(9)
    path.coef[:] = path.coef[:, :1]
    display = CoefficientPathDisplay.from_result(path)
    assert len(display.texts_) == 9
    assert not overlap(display.figure_, display.texts_)


def test_few_labels_on_small_axes():
    figure = Figure(figsize=(4.0, 1.2))
    display = CoefficientPathDisplay.from_result(
        made_up_path(50), ax=figure.subplots(), max_labels=50
    )
    assert display.figure_ is figure
    assert 0 < len(display.texts_) < 10
    assert not overlap(figure, display.texts_)


@pytest.mark.parametrize(
    "names", [["$x^", "a_{b", r"\frac", "100%", "<b>"], ["價格", "é", "", " ", "x" * 200]]
)
def test_names_are_drawn_as_they_are(names, tmp_path):
    path = made_up_path(5, seed=3)
    display = CoefficientPathDisplay.from_result(path, feature_names=names, title="$")
    assert {t.get_text() for t in display.texts_} <= {drawable(shorten(name)) for name in names}
    for ending in ("png", "svg", "pdf"):
        display.save(tmp_path / f"names.{ending}")


def test_odd_paths(tmp_path):
    path = made_up_path(3)
    path.coef[:] = 0.0
    assert CoefficientPathDisplay.from_result(path).texts_ == []
    one = SimpleNamespace(alphas=np.array([0.5]), coef=np.array([[1.0, -2.0]]))
    CoefficientPathDisplay.from_result(one, validation_error=[3.0]).save(tmp_path / "one.png")
    zero = SimpleNamespace(alphas=np.array([0.0]), coef=np.array([[1.0, -2.0]]))
    CoefficientPathDisplay.from_result(zero).save(tmp_path / "zero.png")
    down = SimpleNamespace(alphas=np.array([1.0, 0.0]), coef=np.array([[0.0], [1.0]]))
    CoefficientPathDisplay.from_result(down).save(tmp_path / "down.png")


def test_features_of_a_sparse_path_are_those_that_were_asked_for():
    path = made_up_path(5, seed=1)
    path.coef[:, [0, 3]] = 0.0
    packed = SimpleNamespace(alphas=path.alphas, coef=sparse.csr_array(path.coef))
    display = CoefficientPathDisplay.from_result(packed, features=[4, 0, 1])
    assert [text.get_text() for text in display.texts_] == ["x4", "x0", "x1"]
    for line, j in zip(display.lines_, [4, 0, 1], strict=True):
        assert np.array_equal(line.get_ydata(), path.coef[:, j])
    dense = CoefficientPathDisplay.prepare(path)
    assert CoefficientPathDisplay.prepare(packed).ranking(5) == dense.ranking(5)
    curve = ErrorCurve(training=path.alphas, validation=path.alphas, chosen=3)
    paths = {"a": CoefficientPathDisplay.prepare(packed), "b": dense}
    comparison_figure(paths, ErrorCurvesDisplay.from_result({"a": curve}))
    assert [t.get_text() for t in paths["a"].texts_] == [t.get_text() for t in paths["b"].texts_]


def test_bad_arguments():
    path = made_up_path(3)
    make = CoefficientPathDisplay.from_result
    with pytest.raises(ValueError, match="feature_names has 2 names for 3 features"):
        make(path, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="scale has shape"):
        make(path, scale=[1.0])
    with pytest.raises(ValueError, match="scale must be finite"):
        make(path, scale=[1.0, np.nan, 1.0])
    with pytest.raises(ValueError, match="validation_error has shape"):
        make(path, validation_error=[1.0])
    with pytest.raises(ValueError, match="validation_error must have a number"):
        make(path, validation_error=np.full(20, np.nan))
    with pytest.raises(ValueError, match="chosen must be an index from 0 to 19, got -1"):
        make(path, chosen=-1)
    with pytest.raises(ValueError, match="features must be indices from 0 to 2, got 3"):
        make(path, features=[3])
    with pytest.raises(ValueError, match="max_labels must be at least 0, got -1"):
        make(path, max_labels=-1)
    with pytest.raises(ValueError, match="error_ax needs ax"):
        make(path, error_ax=Figure().subplots())
    with pytest.raises(TypeError, match="path must be a PathResult or a ValidationResult, got int"):
        make(3)
    with pytest.raises(ValueError, match="curves must have at least one"):
        ErrorCurvesDisplay({})
    several = SimpleNamespace(alphas=path.alphas, coef=path.coef[:, None, :])
    with pytest.raises(ValueError, match="one response"):
        make(several)
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.pdf"):
        make(path).save("path.gif")


@pytest.mark.parametrize("style", ["light", "dark"])
def test_comparison(style, tmp_path):
    paths = {
        name: CoefficientPathDisplay.prepare(made_up_path(40, seed=k), chosen=9)
        for k, name in enumerate(["L2", "L1", "elastic net"])
    }
    training = np.linspace(4.0, 0.1, 20)
    curves = {
        name: ErrorCurve(training=training, validation=(training - 2.0) ** 2 + k, chosen=10)
        for k, name in enumerate(paths)
    }
    balance = ErrorCurvesDisplay(curves, {"mean only": (4.0, 5.0), "least squares": (0.0, 99.0)})
    figure = comparison_figure(paths, balance, best="L1", title="$", subtitle="_", style=style)
    best = paths["L1"]
    assert [best.feature_names[j] for j in best.ranking(7)] == [
        text.get_text() for text in best.texts_
    ]
    colors = {
        name: {
            text.get_text(): line.get_color() for text, line in zip(d.texts_, d.lines_, strict=True)
        }
        for name, d in paths.items()
    }
    assert colors["L1"] == colors["L2"] == colors["elastic net"]
    limits = {display.ax_.get_ylim() for display in paths.values()}
    assert len(limits) == 1
    for axes in figure.axes:
        assert not overlap(figure, axes.texts)
    assert set(balance.lines_) == set(paths)
    for ending in ("png", "svg", "pdf"):
        save_figure(figure, tmp_path / f"a.{ending}")
        save_figure(figure, tmp_path / f"b.{ending}")
        assert (tmp_path / f"a.{ending}").stat().st_size > 5000
        if ending != "svg":  # whose identifiers are drawn at random
            assert (tmp_path / f"a.{ending}").read_bytes() == (
                tmp_path / f"b.{ending}"
            ).read_bytes()


def test_curves_alone():
    curve = ErrorCurve(training=np.array([3.0, 1.0]), validation=np.array([3.0, 2.0]), chosen=1)
    display = ErrorCurvesDisplay({"L1": curve}).plot(title="t", unit="cm")
    assert display.ax_.get_ylabel() == "validation error (cm)"
    right, left = display.ax_.get_xlim()
    assert right > left


def test_nothing_global_is_touched():
    before = dict(matplotlib.rcParams)
    display = CoefficientPathDisplay.from_result(made_up_path())
    assert display._repr_png_().startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys, fastreg; assert 'matplotlib' not in sys.modules;"
        "import fastreg.plotting; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_spread_moves_as_little_as_possible():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted = rng.uniform(size=rng.integers(1, 12))
        placed = spread(wanted, 0.05, low=0.0, high=1.0)
        order = np.argsort(wanted, kind="stable")
        assert np.all(np.diff(placed[order]) >= 0.05 - 1e-12)
        assert placed.min() >= -1e-12
        assert placed.max() <= 1.0 + 1e-12
    assert np.allclose(spread([0.9, 0.1], 0.2, low=0.0, high=1.0), [0.9, 0.1])
    assert np.allclose(spread([0.5, 0.5, 0.5], 0.1, low=0.0, high=1.0), [0.4, 0.5, 0.6])
    assert np.allclose(spread([0.0, 0.0], 0.1, low=0.0, high=1.0), [0.0, 0.1])
    crowded = spread(np.zeros(11), 5.0, low=0.0, high=1.0)
    assert np.allclose(crowded, np.linspace(0.0, 1.0, 11))


def test_shorten():
    assert shorten("a\n b") == "a b"
    assert shorten("x" * 30) == "x" * 30
    short = shorten("begin" + "x" * 50 + "end")
    assert len(short) == 30
    assert short.startswith("begin")
    assert short.endswith("end")


def test_the_line_of_equal_errors_is_named_where_it_is_seen():
    for training in ([2.0, 1.5, 1.0], [9.0, 8.5, 8.0], [2.0, 1.0, 0.0]):
        curve = ErrorCurve(np.array(training), np.array([2.0, 1.7, 1.8]), 1)
        ax = ErrorCurvesDisplay({"L1": curve}).plot().ax_
        for text in ax.texts:
            if text.get_text() == "both errors equal":
                x, y = text.xy
                assert ax.get_xlim()[1] <= x <= ax.get_xlim()[0]
                assert ax.get_ylim()[0] <= y <= ax.get_ylim()[1]
        assert any(t.get_text() == "both errors equal" for t in ax.texts) == (training[0] < 9.0)


def test_large_numbers_are_written_in_full_and_inside():
    X = np.random.default_rng(0).normal(size=(40, 4))
    path = fastreg.solve_path(X, 1e6 * X @ [3.0, -2.0, 1.0, 0.0], n_alphas=9)
    error = np.linspace(2e6, 3.456789e5, 9)
    display = CoefficientPathDisplay.from_result(
        path, validation_error=error, baselines={"least squares": 3.4e5}, title="T"
    )
    renderer = FigureCanvasAgg(display.figure_).get_renderer()
    display.figure_.draw(renderer)
    (label,) = [t for t in display.error_ax_.texts if " at alpha" in t.get_text()]
    assert label.get_text().startswith("345679 at")
    assert label.get_window_extent(renderer).x1 <= display.figure_.bbox.x1
    power = display.ax_.yaxis.get_offset_text()
    assert power.get_text()
    assert power.get_window_extent(renderer).x1 <= display.ax_.bbox.x0
