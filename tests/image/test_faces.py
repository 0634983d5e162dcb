"""Faces: their masks, and what is said where nothing can find them."""

import sys
import types

import numpy as np
import pytest
from helpers.shared import shared_file

from jaxstyle.image.faces import Face, MissingDetector, face_mask, find_faces
from jaxstyle.image.io import load_image


def test_masks_are_soft_ellipses_that_join():
    mask = face_mask([Face(0.1, 0.3, 0.2, 0.4), Face(0.6, 0.3, 0.2, 0.4)], (50, 100))
    assert mask.dtype == np.float32
    assert (mask[25, 20], mask[25, 70], mask[25, 45], mask[0, 0]) == (1, 1, 0, 0)
    assert 0 < mask[25, 33] < 1
    assert not face_mask([], (4, 4)).any()


def test_a_missing_detector_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDetector, match=r"needs OpenCV; pip install 'jaxstyle\[faces\]'"):
        find_faces(np.zeros((8, 8, 3)))
    newer = types.SimpleNamespace(__version__="5.0.0", data=types.SimpleNamespace(haarcascades="."))
    monkeypatch.setitem(sys.modules, "cv2", newer)
    with pytest.raises(MissingDetector, match=r"needs OpenCV 4, and 5.0.0 has no Haar cascades"):
        find_faces(np.zeros((8, 8, 3)))


def test_a_face_is_found_where_it_is():
    pytest.importorskip("cv2")
    photograph = load_image(shared_file("data/content/astronaut.png"))
    [face] = find_faces(photograph)
    assert abs(face.x + face.width / 2 - 224 / 512) < 0.02
    assert abs(face.y + face.height / 2 - 114 / 512) < 0.03
    assert find_faces(load_image(shared_file("data/content/rocket.jpg"))) == []
