"""Small films with known motion, and files of them."""

from fractions import Fraction

import numpy as np
import pytest

from jaxstyle.video.flow import Flow

SIDE = (32, 40)


def texture(seed, shape=(96, 96)):
    """A picture of blobs, which flow can hold on to, `[h, w, 3]` in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    image = np.full((*shape, 3), 0.5)
    for _ in range(40):
        place, size = rng.uniform(0, shape), rng.uniform(2, 7)
        blob = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * size**2))
        image += blob[..., None] * rng.uniform(-0.5, 0.5, 3)
    return image.clip(0, 1).astype(np.float32)


def pan(count, step=1, seed=0, shape=SIDE):
    """A camera that moves to the left by whole pixels: all in the picture moves to the right."""
    whole = texture(seed)
    height, width = shape
    starts = (96 - width - step * number for number in range(count))
    return [whole[8 : 8 + height, start : start + width] for start in starts]


def pan_flow(step=1):
    """The true flow of `pan`, by which frame follows which."""

    def between(first, second):
        flow = np.zeros((*first.image.shape[:2], 2), np.float32)
        flow[..., 0] = step * (second.number - first.number)
        return flow

    return Flow(between)


def bytes_of(frames):
    return [np.rint(np.asarray(frame) * 255).astype(np.uint8) for frame in frames]


def write_clip(path, frames, *, rate=10, times=None, codec="libx264", sound=0, **options):
    """A film, lossless where the codec can do that; `sound` seconds of a tone go with it.

    Args:
      path: the file.
      frames: `[h, w, 3]`, or 4 with opacity, in [0, 1].
      rate: frames a second.
      times: seconds of each frame, where they are not even.
      codec: of the pictures.
      sound: seconds of a tone.
      **options: `rotation` in degrees, `pixels` for the pixel format, `space` for the number of the
        colour space, `keys` for the frames between two that stand alone, `aspect` of a pixel,
        `colours` for H.273's numbers of primaries, transfer and matrix, `tone` for the codec of the
        sound.
    """
    import av

    height, width = np.asarray(frames[0]).shape[:2]
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = options.get("pixels", "yuv444p")
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "libx264":
            stream.options = {"qp": "0", "preset": "ultrafast"}
        space = options.get("space", 1)
        stream.codec_context.colorspace = space
        stream.codec_context.sample_aspect_ratio = options.get("aspect", Fraction(1))
        stream.gop_size = options.get("keys", 12)
        if "colours" in options:
            codec = stream.codec_context
            codec.color_primaries, codec.color_trc, codec.colorspace = options["colours"]
        tone = film.add_stream(options.get("tone", "aac"), rate=8000) if sound else None
        if "rotation" in options:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV writes no display matrix")
            stream.set_display_rotation(options["rotation"])
        for number, pixels in enumerate(bytes_of(frames)):
            form = "rgb24" if pixels.shape[2] == 3 else "rgba"
            frame = av.VideoFrame.from_ndarray(pixels, format=form)
            matrix = {1: "ITU709", 5: "ITU601"}[space]
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=matrix)
            seconds = number / rate if times is None else times[number]
            frame.pts, frame.time_base = round(1000 * seconds), Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
        if tone is not None:
            wave = np.sin(np.arange(round(8000 * sound)) * 0.3).astype(np.float32)
            for start in range(0, len(wave), 1024):
                part = wave[None, start : start + 1024]
                samples = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 8000, start
                film.mux(tone.encode(samples))
            film.mux(tone.encode())
    return path
