"""Traces are read back, and drawn where matplotlib is."""

import pytest
from PIL import Image

from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.pipeline import traces

TRACE = """\
step,evaluations,loss,content/relu4_2,style/relu1_1,style/relu2_1,total_variation
0,0,1100.0,0.0,600.0,500.0,0.0
1,1,70.0,20.0,30.0,20.0,0.0
"""


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace $x_1$.csv"
    path.write_text(TRACE, encoding="utf-8")
    return path


def test_a_trace_is_read_by_columns(trace):
    columns = traces.read_trace(trace)
    assert columns["step"] == [0, 1]
    assert columns["loss"] == [1100, 70]
    assert columns["style/relu2_1"] == [500, 20]


@pytest.mark.parametrize(
    "text",
    ["", "step,loss\n", "step,loss\n0,1", "a,b\n1,2\n", "step,loss\n0,much\n", "step,loss\n0\n"],
)
def test_what_is_no_trace_is_refused(trace, text):
    trace.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match="no loss terms of every step; give a file that --tr"):
        traces.read_trace(trace)


def test_curves_without_matplotlib_are_one_line(trace, tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "can_draw", lambda: False)
    with pytest.raises(UsageError, match=r"needs matplotlib; pip install 'jaxstyle\[plot\]'"):
        traces.check_curves_path(tmp_path / "curves.png")
    with pytest.raises(UsageError, match=r"gif: curves are written as \.png, \.svg, \.pdf"):
        traces.check_curves_path(tmp_path / "curves.gif")


@pytest.mark.parametrize("kind", traces.KINDS)
def test_curves_are_drawn(trace, tmp_path, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"curves{kind}"
    traces.draw_curves(traces.read_trace(trace), trace.stem, path)
    if kind == ".png":
        with Image.open(path) as image:
            assert image.size == (1200, 800)
            dark = image.convert("L").point(lambda level: 255 * (level < 250)).getbbox()
            assert dark[2] - dark[0] > 1100  # the axes and the legend take the whole width
    if kind == ".svg":
        text = path.read_text(encoding="utf-8")
        for label in ("step", "loss", "style at relu1_1", "content", "trace $x_1$"):
            assert f"<!-- {label}" in text or f"{label} -->" in text
        assert "total variation" not in text  # which was always zero


def test_a_trace_without_a_loss_above_zero_is_drawn(trace, tmp_path):
    pytest.importorskip("matplotlib")
    trace.write_text("step,loss\n0,0.0\n1,0.0\n", encoding="utf-8")
    traces.draw_curves(traces.read_trace(trace), "flat", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
