"""Model files: what is written is what is read, and a damaged file is always refused."""

import hashlib
import json
from dataclasses import fields, replace

import numpy as np
import pytest

pl = pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from fastreg.cli.errors import UserError  # noqa: E402
from fastreg.cli.features import Column, Encoder  # noqa: E402
from fastreg.cli.modelfile import (  # noqa: E402
    MAGIC,
    Model,
    load_model,
    parse_model,
    save_model,
)
from fastreg.cli.tables import Table  # noqa: E402


def small_model():
    columns = (
        Column(name="size", kind="number", center=70.0, scale=40.0, fill=65.5),
        Column(name="town", kind="text", levels=("Ulm", "Zürich", "łódź")),
        Column(name="new", kind="flag"),
    )
    return Model(
        target="rent",
        penalty="l1",
        alpha=0.1,
        l1_ratio=1.0,
        intercept=1 / 3,
        encoder=Encoder(columns=columns, terms=((0,), (0, 2), (3,))),
        n_features=9,
        support=np.array([0, 4, 8]),
        coef=np.array([0.1, -1e-17, 2.5e300]),
        facts={"test_error": None},
    )


def sealed(body):
    raw = json.dumps(body).encode()
    return MAGIC + b"1 sha256=" + hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw


def test_round_trip_is_exact(tmp_path):
    model = small_model()
    save_model(tmp_path / "a.frm", model)
    again = load_model(tmp_path / "a.frm")
    assert again.encoder == model.encoder
    assert np.array_equal(again.coef, model.coef)
    assert np.array_equal(again.support, model.support)
    for field in fields(model):
        if field.name not in {"coef", "support"}:
            assert getattr(again, field.name) == getattr(model, field.name)
    save_model(tmp_path / "b.frm", again)
    assert (tmp_path / "a.frm").read_bytes() == (tmp_path / "b.frm").read_bytes()


def test_predict_follows_the_formula(tmp_path):
    model = small_model()
    model = replace(model, coef=np.array([2.0, 3.0, 5.0]))
    save_model(tmp_path / "m.frm", model)
    frame = pl.DataFrame(
        {"new": [True, False], "town": ["łódź", "Ulm"], "extra": ["a", "b"], "size": [110, None]}
    )
    size = (np.array([110.0, 65.5]) - 70.0) / 40.0
    expected = 1 / 3 + 2.0 * size + 3.0 * size * [1.0, 0.0] + 5.0 * np.array([1.0, 0.0])
    predicted = load_model(tmp_path / "m.frm").predict(Table(source="t", frame=frame))
    assert np.allclose(predicted, expected, rtol=1e-15)


def test_the_file_is_text_that_can_be_read(tmp_path):
    save_model(tmp_path / "m.frm", small_model())
    first, _, body = (tmp_path / "m.frm").read_text(encoding="utf-8").partition("\n")
    assert first.startswith("fastreg model 1 sha256=")
    content = json.loads(body)
    assert [feature["name"] for feature in content["features"]] == [
        "size",
        "size × town=łódź",  # noqa: RUF001
        "new",
    ]


def test_every_damaged_byte_is_noticed(tmp_path):
    path = tmp_path / "m.frm"
    save_model(path, small_model())
    raw = path.read_bytes()
    for position in range(len(raw)):
        for flip in (0x01, 0x20, 0x80):
            damaged = bytearray(raw)
            damaged[position] ^= flip
            with pytest.raises(UserError):
                parse_model(bytes(damaged), "m.frm")


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "m.frm"
    save_model(path, small_model())
    raw = path.read_bytes()
    for length in range(len(raw)):
        with pytest.raises(UserError):
            parse_model(raw[:length], "m.frm")
    path.write_bytes(raw + b"\n")
    with pytest.raises(UserError, match="damaged"):
        load_model(path)


def test_another_version_is_named(tmp_path):
    path = tmp_path / "m.frm"
    save_model(path, small_model())
    path.write_bytes(path.read_bytes().replace(b"model 1 ", b"model 27 ", 1))
    with pytest.raises(UserError, match="format version 27, and this fastreg reads version 1"):
        load_model(path)


def test_other_files_are_no_models(tmp_path):
    for name, raw in {"a": b"", "b": b"\x80\x04pickle", "c": b"a,b\n1,2\n"}.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(UserError, match="is not a model of fastreg"):
            load_model(tmp_path / name)
    with pytest.raises(UserError, match=r"cannot read .*: no such file"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cannot read .*: is a directory"):
        load_model(tmp_path)


def change_term(body):
    body["features"][0]["term"] = [99]


def change_index(body):
    body["features"][0]["index"] = 9


def drop_coef(body):
    del body["features"][0]["coef"]


def change_columns(body):
    body["columns"] = 7


def empty_term(body):
    body["features"][0]["term"] = []


def unknown_field(body):
    body["columns"][0]["colour"] = "red"


def coef_that_is_nan(body):
    body["features"][0]["coef"] = float("nan")


def infinite_intercept(body):
    body["intercept"] = float("inf")


def no_scale(body):
    body["columns"][0]["scale"] = 0.0


@pytest.mark.parametrize(
    "change",
    [
        change_term, change_index, drop_coef, change_columns, empty_term, unknown_field,
        coef_that_is_nan, infinite_intercept, no_scale,
    ],
)  # fmt: skip
def test_a_sealed_file_with_wrong_contents_is_refused(tmp_path, change):
    path = tmp_path / "m.frm"
    save_model(path, small_model())
    body = json.loads(path.read_bytes().partition(b"\n")[2])
    path.write_bytes(sealed(body))
    load_model(path)
    change(body)
    path.write_bytes(sealed(body))
    with pytest.raises(UserError, match="is not a valid model"):
        load_model(path)
    path.write_bytes(sealed([1, 2]))
    with pytest.raises(UserError, match="is not a valid model"):
        load_model(path)


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        save_model(tmp_path / "no" / "m.frm", small_model())
    broken = replace(small_model(), intercept=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_model(tmp_path / "m.frm", broken)
    assert list(tmp_path.iterdir()) == []


def test_sparse_models(tmp_path):
    from scipy import sparse

    model = replace(
        small_model(), encoder=None, support=np.array([1, 3]), coef=np.array([2.0, 4.0])
    )
    save_model(tmp_path / "m.frm", model)
    model = load_model(tmp_path / "m.frm")
    X = np.arange(8.0).reshape(2, 4)
    wide = Table(source="wide", matrix=sparse.csc_array(X))
    assert np.allclose(model.predict(wide), 1 / 3 + 2.0 * X[:, 1] + 4.0 * X[:, 3])
    short = Table(source="short", matrix=sparse.csc_array(X[:, :2]))
    assert np.allclose(model.predict(short), 1 / 3 + 2.0 * X[:, 1])
    many = Table(source="many", matrix=sparse.csc_array(np.ones((2, 10))))
    with pytest.raises(UserError, match="many has 10 columns, and the model was fitted to 9"):
        model.predict(many)
    frame = Table(source="t.csv", frame=pl.DataFrame({"a": [1]}))
    with pytest.raises(UserError, match=r"t\.csv is a table of columns"):
        model.predict(frame)
    with pytest.raises(UserError, match="wide is a sparse matrix"):
        small_model().predict(wide)
