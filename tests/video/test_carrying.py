"""What is known of the next frame: motion, long term, cuts."""

import numpy as np
import pytest
from helpers.films import pan, pan_flow, texture

from jaxstyle.video.carrying import Carrier, check_long_term
from jaxstyle.video.flow import Flow, Still

FLOW = pan_flow()


def stills(frames):
    return [Still(number, frame) for number, frame in enumerate(frames, 1)]


def shown(number, shape=(32, 40)):
    """A picture by which one sees of which frame it is."""
    return np.full((*shape, 3), number / 100, np.float32)


def test_a_picture_moves_with_the_frame():
    first, second = stills(pan(2, step=3))
    carrier = Carrier(pan_flow(3))
    assert carrier.carry(first) is None
    carrier.add(first, first.image)
    carry = carrier.carry(second)
    mask = np.asarray(carry.mask)
    assert (mask[:, :3] == 0).all()  # it enters at the left
    assert (mask[:, 3:] == 1).all()
    np.testing.assert_allclose(np.asarray(carry.image)[:, 3:], second.image[:, 3:], atol=1e-6)
    assert carrier.shot == 1


def test_older_pictures_say_only_what_newer_ones_do_not():
    """Frame three shows at its left what frame one had, and frame two had lost."""
    frames = stills([texture(0, (32, 40))] * 3)

    def between(first, second):
        flow = np.zeros((32, 40, 2), np.float32)
        if 2 in (first.number, second.number):
            flow[..., 0] = 4 if second.number > first.number else -4
        return flow

    for long_term, known in (((1,), 0), ((1, 2), 1)):
        carrier = Carrier(Flow(between), long_term)
        for frame in frames[:2]:
            carrier.carry(frame)
            # Frames that are told apart, and are alike for the search for cuts.
            carrier.add(frame, shown(frame.number))
        carry = carrier.carry(frames[2])
        mask, image = np.asarray(carry.mask), np.asarray(carry.image)
        assert (mask[:, 4:] == 1).all()
        np.testing.assert_allclose(image[:, 4:], 0.02)
        assert (mask[:, :4] == known).all()
        if known:
            np.testing.assert_allclose(image[:, :4], 0.01)
        assert set(np.unique(mask)) <= {0.0, 1.0}


def test_a_cut_begins_anew_and_forgets():
    frames = stills([*pan(3), *pan(3, seed=5)])
    carrier = Carrier(FLOW, (1, 2))
    known = []
    for frame in frames:
        known.append(carrier.carry(frame) is not None)
        carrier.add(frame, frame.image)
    assert known == [False, True, True, False, True, True]
    assert carrier.shot == 4
    # The picture before the cut is two frames back from the fifth.
    assert np.asarray(carrier.carry(Still(7, frames[-1].image)).image).shape == (32, 40, 3)


def test_a_change_of_the_light_is_no_cut():
    first, second = stills(pan(2))
    second = Still(2, (second.image * 0.6).astype(np.float32))
    carrier = Carrier(FLOW)
    carrier.add(first, first.image)
    assert carrier.carry(second) is not None


def test_a_film_that_goes_on_remembers_its_shot():
    frames = stills(pan(4))
    whole = Carrier(FLOW, (1, 2))
    for frame in frames[:3]:
        whole.carry(frame)
        whole.add(frame, shown(frame.number))
    resumed = Carrier(FLOW, (1, 2), list(whole._past), shot=whole.shot)
    for a, b in zip(whole.carry(frames[3]), resumed.carry(frames[3]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.shot == 1


@pytest.mark.parametrize("counts", [(), (2, 3), (1, 1), (1, 3, 2), (0, 1)])
def test_frames_back_rise_from_one(counts):
    with pytest.raises(ValueError, match=r"long_term should (rise from 1|be at least 1)|each of"):
        check_long_term(counts)


def test_dark_frames_are_no_cut():
    black = stills([np.zeros((32, 40, 3), np.float32)] * 2)
    carrier = Carrier(pan_flow(0))
    carrier.add(black[0], shown(1))
    assert carrier.carry(black[1]) is not None
