"""Files of decoders: what is kept, and what is refused."""

import jax
import numpy as np
import pytest
from safetensors import safe_open

from jaxstyle.errors import FileFormatError
from jaxstyle.feedforward.decoder_files import Decoder, load_decoder, save_decoder
from jaxstyle.feedforward.decoding import init_decoder
from jaxstyle.networks import vgg
from jaxstyle.networks.save import write_tensors

WIDTHS = (("conv1_1", 3), ("conv2_1", 4), ("conv3_1", 5), ("conv4_1", 6))
COMPACT = vgg.init_params(jax.random.key(0), WIDTHS)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "decoder.safetensors"
    params = init_decoder(jax.random.key(1), COMPACT)
    save_decoder(path, Decoder(params, {"licence": "CC0"}), dtype="float32")
    return path


@pytest.mark.slow
def test_what_is_written_is_read(path):
    found = load_decoder(path, COMPACT)
    assert found.metadata == {"licence": "CC0"}
    expected = init_decoder(jax.random.key(1), COMPACT)
    assert jax.tree.structure(found.params) == jax.tree.structure(expected)
    for a, b in zip(*map(jax.tree.leaves, (found.params, expected)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stage4.a.kernel": None}, "stage4.a.kernel is missing"),
        ({"stage9.a.kernel": np.zeros(3, "f")}, "stage9.a.kernel is not known"),
        ({"stage1.b.bias": np.zeros(4, "f")}, r"stage1.b.bias should be \[3\], is \[4\]"),
        ({"stage1.b.bias": np.full(3, np.nan, "f")}, "stage1.b.bias has values that are not fin"),
    ],
)
def test_a_damaged_file_is_refused(path, change, says):
    with safe_open(path, "np") as file:
        notes = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays |= change
    write_tensors(path, {k: v for k, v in arrays.items() if v is not None}, notes)
    with pytest.raises(FileFormatError, match=says):
        load_decoder(path, COMPACT)


@pytest.mark.slow
def test_other_files_are_refused(path, tmp_path):
    other = tmp_path / "other.safetensors"
    write_tensors(other, {"a": np.zeros(3, "f")}, {"format": "jaxstyle-feedforward"})
    with pytest.raises(FileFormatError, match="holds no decoder of jaxstyle"):
        load_decoder(other, COMPACT)
    wider = vgg.init_params(jax.random.key(0), (*WIDTHS[:3], ("conv4_1", 7)))
    with pytest.raises(FileFormatError, match=r"stage4.a.bias should be \[7\], is \[6\]"):
        load_decoder(path, wider)
