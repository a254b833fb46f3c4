"""Images as they are shown."""

import numpy as np
import pytest

from cxr_core.imaging.display import pad_to_square


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 9), (6, 6)])
def test_an_image_lies_whole_in_the_middle_of_a_transparent_square(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    square = pad_to_square(image)
    side = max(shape)
    assert square.shape == (side, side, 4)
    rows, columns = np.nonzero(square[..., 3])
    assert (rows.min(), columns.min()) == ((side - shape[0]) // 2, (side - shape[1]) // 2)
    np.testing.assert_array_equal(square[square[..., 3] == 255, :3].reshape(image.shape), image)
    assert not square[square[..., 3] == 0].any()
