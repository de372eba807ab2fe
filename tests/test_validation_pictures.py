"""Pictures of validations, penalties, polynomials and stable features."""

from types import SimpleNamespace

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

import fastreg  # noqa: E402
from fastreg.plotting import (  # noqa: E402
    CoefficientPathDisplay,
    PenaltyDisplay,
    PolynomialFitDisplay,
    StabilityDisplay,
    ValidationCurveDisplay,
)

STYLES = ("light", "dark")


def problem(n=60, p=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, :3] @ [3.0, -2.0, 1.0] + rng.normal(size=n)


def check_texts(figure):
    """No text that is seen leaves the figure, and no two lie on each other."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    unseen = set(outside(figure))
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    seen = [text for text in texts if text.get_visible() and text not in unseen]
    boxes = [text.get_window_extent(renderer) for text in seen]
    for text, box in zip(seen, boxes, strict=True):
        assert min(box.x0, box.y0) >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    for i, box in enumerate(boxes):
        for k, other in enumerate(boxes[:i]):
            # letters need not fill their box: a pixel of overlap is none
            apart = (
                box.x1 - 1 <= other.x0
                or other.x1 - 1 <= box.x0
                or box.y1 - 1 <= other.y0
                or other.y1 - 1 <= box.y0
            )
            assert apart, (seen[i], seen[k])


def outside(figure):
    """The labels of ticks outside of the limits of their axis, which are not drawn."""
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                inside = low * (1 - 1e-9) <= tick.get_loc() <= high * (1 + 1e-9)
                inside = inside or np.isclose(tick.get_loc(), [low, high]).any()
                yield from () if inside else (tick.label1, tick.label2)


GRIDS = {
    "one curve": {},
    "1se": {"selection": "1se"},
    "ratios": {"l1_ratio": [0.1, 0.5, 1.0]},
    "many ratios": {"l1_ratio": np.linspace(0.05, 1.0, 15).tolist()},
    "merit": {"scoring": "r2"},
    "one fold": {"cv": 0.3},
    "one alpha": {"alphas": [0.1]},
    "down to zero": {"alphas": [1.0, 0.1, 0.0]},
    "zero": {"alphas": [0.0]},
    "short": {"alphas": [0.3, 0.2]},
    "worse than the mean": {"alphas": [1e-3, 1e-4, 1e-5]},
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("grid", GRIDS)
def test_validation_curve(grid, style):
    result = (
        fastreg.validate(*problem(), n_alphas=30, **GRIDS[grid])
        if ("alphas" not in GRIDS[grid])
        else fastreg.validate(*problem(), **GRIDS[grid])
    )
    display = ValidationCurveDisplay.from_result(result, style=style, title="Title", folds=True)
    check_texts(display.figure_)
    row = next(iter(display.points.values()))[0]
    rows = result.mean.reshape(-1, result.mean.shape[-1])
    assert np.array_equal(display.lines_[row].get_ydata(), rows[row])
    chosen = display.points[result.selection]
    assert rows[chosen] == result.mean[result.index]
    assert display.x[chosen] == result.alpha or result.alpha == 0.0
    assert (display.band_ is None) == (grid == "one fold")
    low, high = sorted(display.ax_.get_ylim())
    assert low < result.mean[result.index] < high


def test_validation_over_degrees():
    x = np.linspace(-1.0, 1.0, 50)[:, None]
    y = np.sin(4.0 * x[:, 0])
    basis = fastreg.PolynomialBasis.of(x, 9)
    both = ValidationCurveDisplay.from_result(fastreg.validate_degrees(basis, x, y, n_alphas=9))
    assert both.parameter == "alpha"
    assert len(both.lines_) == 6
    assert len(both.rest_.get_segments()) == 3
    check_texts(both.figure_)
    alone = fastreg.validate_degrees(basis, x, y, alphas=[0.0])
    display = ValidationCurveDisplay.from_result(alone)
    assert display.parameter == "degree"
    (line,) = display.lines_.values()
    assert line.get_xdata().tolist() == list(range(1, 10))
    assert np.array_equal(line.get_ydata(), alone.mean[:, 0])
    check_texts(display.figure_)
    ratios = fastreg.validate_degrees(basis, x, y, alphas=[1e-3], l1_ratio=[0.5, 1.0])
    display = ValidationCurveDisplay.from_result(ratios)
    assert display.labels == ["l1_ratio 0.5", "l1_ratio 1"]
    for k, line in display.lines_.items():
        assert np.array_equal(line.get_ydata(), ratios.mean[:, k, 0])


def test_a_validation_has_a_path():
    X, y = problem()
    result = fastreg.validate(X, y, n_alphas=20, selection="1se")
    display = CoefficientPathDisplay.from_result(result)
    assert display.chosen == result.index[-1]
    assert np.array_equal(display.validation_error, result.mean)
    assert np.array_equal(display.coef, result.path.coef)
    with pytest.raises(ValueError, match="refit=True"):
        CoefficientPathDisplay.from_result(fastreg.validate(X, y, refit=False))


@pytest.mark.parametrize("n_features", [4, 2000])
@pytest.mark.parametrize("style", STYLES)
def test_penalties(n_features, style):
    X, y = problem(50, n_features)
    fits = {
        "L1": fastreg.solve(X, y, alpha=0.3),
        "elastic net": fastreg.solve(X, y, alpha=0.3, l1_ratio=0.5),
        "L2": fastreg.solve(X, y, alpha=0.3, l1_ratio=0.0),
        "least squares": np.zeros(n_features),
        "$x_1^": np.ones(n_features),
    }
    scale = X.std(axis=0)
    display = PenaltyDisplay.from_result(fits, scale=scale, style=style)
    check_texts(display.figure_)
    for name, line in display.lines_.items():
        coef = np.abs(getattr(fits[name], "coef", fits[name]) * scale)
        assert np.array_equal(line.get_ydata(), np.sort(coef[coef > 0])[::-1])
    assert display.answers_["L1"][0] == display.answers_["elastic net"][0] == 0.0
    assert display.answers_["L2"].all()


def test_penalties_on_a_part_of_a_figure(tmp_path):
    left, _ = Figure(figsize=(24.0, 8.0)).subfigures(1, 2)
    display = PenaltyDisplay.from_result({"L1": np.arange(5.0)}, figure=left)
    assert display.figure_ is left
    assert display.png().startswith(b"\x89PNG")
    display.save(tmp_path / "part.svg")
    with pytest.raises(ValueError, match=r"results\['L1'\] must be finite"):
        PenaltyDisplay.from_result({"L1": [np.nan, 1.0]})
    with pytest.raises(
        TypeError, match=r"results\['L1'\] must be a Result or coefficients, got dict"
    ):
        PenaltyDisplay.from_result({"L1": {}})
    with pytest.raises(ValueError, match="at least one fit"):
        PenaltyDisplay.from_result({})
    with pytest.raises(ValueError, match=r"one shape \(n_features,\)"):
        PenaltyDisplay.from_result({"a": np.ones(3), "b": np.ones(4)})
    with pytest.raises(ValueError, match="scale has shape"):
        PenaltyDisplay.from_result({"a": np.ones(3)}, scale=[1.0])


@pytest.mark.parametrize("style", STYLES)
def test_polynomial_fit(style):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x, new = rng.uniform(-1.0, 1.0, (2, 50))
    y, y_new = np.sin(4.0 * x), np.sin(4.0 * new)
    model = fastreg.PolynomialRegression(range(1, 15)).fit(x[:, None], y)
    display = PolynomialFitDisplay.from_estimator(
        model,
        x[:, None],
        y,
        X_held_out=new,
        y_held_out=y_new,
        truth=lambda x: np.sin(4.0 * x),
        style=style,
        title="T",
        target_name="$y",
    )
    check_texts(display.figure_)
    assert [name.split(":")[0] for name in display.lines_] == [
        "Too stiff",
        "Chosen",
        "Too flexible",
    ]
    middle = list(display.lines_.values())[1]
    assert np.array_equal(middle.get_ydata(), model.predict(display.grid[:, None]))
    seen, unseen = list(display.errors.values())[1]
    assert seen == pytest.approx(np.sqrt(np.mean((model.predict(x[:, None]) - y) ** 2)))
    assert unseen == pytest.approx(np.sqrt(np.mean((model.predict(new[:, None]) - y_new) ** 2)))
    ax = Figure().subplots()
    alone = PolynomialFitDisplay.from_result({"a": model}, x, y, axes=ax, style=style)
    assert alone.axes_ == [ax]
    check_texts(alone.figure_)


def test_polynomials_between_the_degrees_that_were_tried():
    pytest.importorskip("sklearn")
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    y, weight = x[:, 0] ** 3 - x[:, 0] + 0.01 * np.sin(50.0 * x[:, 0]), np.linspace(0.0, 1.0, 40)
    model = fastreg.PolynomialRegression(range(3, 6), penalty=None, selection="1se")
    model.fit(x, y, weight)
    display = PolynomialFitDisplay.from_estimator(model, x, y, sample_weight=weight)
    assert list(display.lines_) == ["Chosen: degree 3, least squares", "Too flexible: degree 5"]
    flexible = fastreg.PolynomialRegression(5, penalty=None).fit(x, y, weight)
    expected = flexible.predict(display.grid[:, None])
    assert np.allclose(display.curves["Too flexible: degree 5"], expected)
    alone = PolynomialFitDisplay.from_estimator(
        fastreg.PolynomialRegression(2, penalty=None).fit(x, y), x, y
    )
    assert list(alone.lines_) == ["Chosen: degree 2, least squares"]


def test_mistakes_with_polynomials():
    pytest.importorskip("sklearn")
    x = np.linspace(-1.0, 1.0, 20)[:, None]
    model = fastreg.PolynomialRegression(2).fit(x, x[:, 0])
    draw = PolynomialFitDisplay.from_result
    with pytest.raises(TypeError, match="fits must map names to fitted models, got Polynomial"):
        draw(model, x, x[:, 0])
    with pytest.raises(ValueError, match="fits must"):
        draw({}, x, x[:, 0])
    with pytest.raises(ValueError, match="X has shape"):
        draw({"a": model}, np.ones((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="y has shape"):
        draw({"a": model}, x, np.ones(3))
    with pytest.raises(TypeError, match="belong together"):
        draw({"a": model}, x, x[:, 0], X_held_out=x)
    with pytest.raises(ValueError, match="axes has 2"):
        draw({"a": model}, x, x[:, 0], axes=Figure().subplots(1, 2))
    with pytest.raises(ValueError, match="fitted PolynomialRegression"):
        PolynomialFitDisplay.from_estimator(fastreg.PolynomialRegression(), x, x[:, 0])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("n_features", [5, 400])
def test_stability(n_features, style):
    X, y = problem(80, n_features)
    result = fastreg.stability_selection(X, y, n_select=4, n_pairs=10, random_state=0)
    display = StabilityDisplay.from_result(result, style=style)
    check_texts(display.figure_)
    assert len(display.lines_) == len(result.selected)
    drawn = {text.get_text().split()[0] for text in display.texts_[:-1]}
    assert drawn == {f"x{j}" for j in result.selected}
    for line in display.lines_:
        assert any(np.array_equal(line.get_ydata(), f) for f in result.frequency.T)


def test_stability_of_many():
    p = 60
    result = SimpleNamespace(
        alphas=np.geomspace(1.0, 0.1, 5),
        frequency=np.linspace(0.0, 1.0, 5)[:, None] * np.ones(p),
        selected=np.arange(p),
        threshold=0.75,
        error_bound=np.inf,
        assumption="unimodal",
        feature_names=tuple(f"{'long name' * 9}{j}" for j in range(p)),
    )
    display = StabilityDisplay.from_result(result, max_labels=100)
    check_texts(display.figure_)
    assert 10 < len(display.lines_) < p
    with pytest.raises(ValueError, match="feature_names has 1 names for 60 features"):
        StabilityDisplay.from_result(result, feature_names=["a"])


def test_wrong_results():
    for display in (ValidationCurveDisplay, StabilityDisplay):
        with pytest.raises(TypeError, match="got int"):
            display.from_result(3)
    X, y = problem()
    with pytest.raises(ValueError, match="style must be 'light' or 'dark'"):
        ValidationCurveDisplay.from_result(fastreg.validate(X, y), style="blue")
    with pytest.raises(TypeError, match="a single string"):
        CoefficientPathDisplay.from_result(fastreg.solve_path(X, y), feature_names="abcdefghijkl")
