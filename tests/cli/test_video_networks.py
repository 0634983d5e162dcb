"""`jaxstyle video` with a network that takes the picture of the frame before."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.command_line import done
from helpers.fast_networks import TINY, draw_network
from helpers.films import bytes_of, pan
from PIL import Image

from jaxstyle.feedforward.files import save_network
from jaxstyle.pipeline.video_painters import _GoingOn
from jaxstyle.video.carrying import Carrier
from jaxstyle.video.fast import paint_next
from jaxstyle.video.flow import Still, dis_flow, write_flow

pytest.importorskip("av")
pytest.importorskip("cv2")

pytestmark = pytest.mark.usefixtures("compile_faster")
FORM = dataclasses.replace(TINY, previous=True)
LINE = "video clip -o out --method fast --fast-network video.safetensors --quiet"


@pytest.fixture
def film(cli):
    Path("clip").mkdir()
    for number, image in enumerate(bytes_of(pan(4)), 1):
        Image.fromarray(image).save(f"clip/{number}.png")
    save_network("video.safetensors", draw_network(FORM), dtype="float32")
    return lambda line=LINE, **options: cli(line, **options)


def frames(folder="out"):
    return [np.asarray(Image.open(path)) for path in sorted(Path(folder).iterdir())]


def test_frames_go_on_from_the_picture_before(film):
    done(film())
    params, style = draw_network(FORM).params, jnp.array([1.0, 0.0])
    carrier = Carrier(dis_flow(), (1,))
    pictures = []
    for number, image in enumerate(bytes_of(pan(4)), 1):
        still = Still(number, np.float32(image / 255))
        carry = carrier.carry(still)
        known = () if carry is None else (carry.image, carry.mask)
        frame = jnp.asarray(still.image)
        picture = np.asarray(paint_next(params, frame, style, *known, architecture=FORM))
        pictures.append(picture)
        carrier.add(still, picture)
    assert carrier.shot == 1
    for found, expected in zip(frames(), pictures, strict=True):
        assert np.abs(found / 255 - expected).max() < 0.02
    alone = paint_next(params, frame, style, architecture=FORM)
    assert np.abs(frames()[-1] / 255 - alone).mean() > 0.02


def test_a_film_that_was_stopped_goes_on_with_the_same_bits(film, monkeypatch):
    done(film(LINE.replace("-o out", "-o whole"), strength=70))
    paint, painted = _GoingOn.__call__, []

    def stopped(self, still, *arguments):
        if still.number == 3 and 3 not in painted:
            painted.append(3)
            raise KeyboardInterrupt
        painted.append(still.number)
        return paint(self, still, *arguments)

    monkeypatch.setattr(_GoingOn, "__call__", stopped)
    assert film(strength=70).status == 130
    done(film(strength=70))
    assert painted == [1, 2, 3, 3, 4]
    for one, other in zip(frames(), frames("whole"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_flow_of_ones_own_is_for_networks_that_go_on(film):
    Path("flow").mkdir()
    shape = pan(1)[0].shape[:2]
    for number in (1, 2, 3):
        for first, second in ((number, number + 1), (number + 1, number)):
            flow = np.zeros((*shape, 2), np.float32)
            flow[..., 0] = second - first
            write_flow(Path("flow", f"flow_{first}_{second}.flo"), flow)
    done(film(flow="flow"))
    save_network("video.safetensors", draw_network())
    ran = film(LINE.replace("-o out", "-o other"), flow="flow")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--flow is for --method optimise, and for networks that were trained for" in ran.err
    assert not Path("other").exists()


def test_the_network_sees_its_own_picture_and_not_what_was_laid_over_the_photograph(film):
    done(film())
    done(film(LINE.replace("-o out", "-o half"), strength=50))
    for full, half, photograph in zip(frames(), frames("half"), bytes_of(pan(4)), strict=True):
        expected = (full.astype(float) + photograph) / 2
        assert np.abs(half - expected).max() <= 2
