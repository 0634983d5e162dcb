"""Points as an option names them."""

import pytest

from jaxstyle.pipeline.point_options import MOST, PointOption, Points


def test_points_survive_being_written():
    value = Points().parse("0.5,0.3=0.8,0.2; 0,1=1, .25")
    assert value == (PointOption((0.5, 0.3), (0.8, 0.2)), PointOption((0, 1), (1, 0.25)))
    assert Points().parse(Points().text(value)) == value
    assert Points().parse_all(Points().texts(value)) == value
    assert list(Points().files(value)) == []


def test_there_are_not_too_many():
    one = "0.5,0.3=0.8,0.2"
    assert len(Points().parse_all([one] * MOST)) == MOST
    with pytest.raises(ValueError, match="should be at most 16 points, got 17"):
        Points().parse(";".join([one] * 17))


@pytest.mark.parametrize(
    "text", ["", "0.5,0.3", "0.5,0.3=0.8", "0.5,0.3=0.8,1.2", "-1,0=0,0", "0.1.2,0=0,0", "a,b=c,d",
             "0.5,0.3=0.8,0.2;"],
)  # fmt: skip
def test_what_is_wrong_is_said(text):
    with pytest.raises(ValueError, match=r"should be like .*: across and down in the photograph"):
        Points().parse(text)
