from __future__ import annotations

import contextlib
import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from data_prep.images import decode as pixels
from data_prep.images import encode, masks
from data_prep.images.decode import BadPicture
from tests.data_prep.samples import picture, road


def encoded(image: Image.Image, kind: str, **options: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


JPEG = encoded(Image.fromarray(picture(1, 64)), "JPEG")
PNG = encoded(Image.fromarray(picture(1, 64)), "PNG")
TIFF = encoded(Image.fromarray(picture(1, 64)), "TIFF")
BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_average_area_is_the_mean_of_blocks(factor):
    image = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
    small = encode.average_area(image, factor)
    assert small.shape == (24 // factor, 36 // factor, 3)
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            block = image[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert np.abs(small[row, column] - block.astype(float).mean(axis=(0, 1))).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("factor", [16, 17])
def test_averaging_white_gives_white(factor):
    """Sums of 16 bits hold 16 x 16 pixels of 255, and no more."""
    assert (encode.average_area(np.full((2 * factor, factor, 3), 255, np.uint8), factor) == 255).all()


def test_take_every_is_the_first_pixel_of_each_block():
    labels = np.random.default_rng(0).integers(0, 2, (8, 12), dtype=np.uint8)
    small = encode.take_every(labels, 2)
    assert small.tolist() == [[labels[2 * row, 2 * column] for column in range(6)] for row in range(4)]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_mask_means_the_same_in_every_mode(mode):
    mask = road(3, 64)
    picture = Image.fromarray(mask).convert("RGB")
    picture = picture.convert(mode) if mode != "P" else picture.quantize(4)
    found = masks.binary_mask(pixels.decode(encoded(picture, "PNG"), "PNG"))
    assert (found.labels == (mask == 255)).all()
    assert found.values == ("0", "255")


def test_the_threshold_is_128():
    grey = np.arange(256, dtype=np.uint8)[None]
    assert masks.binary_mask(Image.fromarray(grey)).labels[0].tolist() == [0] * 128 + [1] * 128


def test_a_coloured_mask_is_refused():
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[1, 1] = (255, 120, 80)
    with pytest.raises(BadPicture, match="expected a black-and-white mask, found colours"):
        masks.binary_mask(Image.fromarray(colour))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_other_modes_of_a_mask_are_refused(mode):
    with pytest.raises(BadPicture, match=f"found mode {mode}"):
        masks.binary_mask(Image.new(mode, (4, 4)))


@pytest.mark.parametrize("cut", [2, 40, len(JPEG) // 2, len(JPEG) - 4])
def test_a_jpeg_cut_short_is_refused_even_if_padded_with_zeros(cut):
    with pytest.raises(BadPicture, match="cannot be decoded"):
        pixels.decode(JPEG[:-cut], "JPEG")
    with pytest.raises(BadPicture, match="cannot be decoded"):
        pixels.decode(JPEG[:-cut] + bytes(cut), "JPEG")


@pytest.mark.parametrize("cut", [12, 30, len(PNG) // 2, len(PNG) - 9])
def test_a_png_cut_short_is_refused(cut):
    with pytest.raises(BadPicture, match="cannot be decoded"):
        pixels.decode(PNG[:-cut], "PNG")


@pytest.mark.parametrize("cut", [1, 40, len(TIFF) // 2, len(TIFF) - 9])
def test_a_tiff_cut_short_is_refused(cut):
    with pytest.raises(BadPicture, match="cannot be decoded"):
        pixels.decode(TIFF[:-cut], "TIFF", "PNG")


def test_a_flipped_byte_of_a_png_is_refused():
    spoilt = bytearray(PNG)
    spoilt[len(PNG) // 2] ^= 255
    with pytest.raises(BadPicture, match="cannot be decoded"):
        pixels.decode(bytes(spoilt), "PNG")


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>"])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(BadPicture, match="not a picture"):
        pixels.decode(content, "JPEG")


def test_another_format_under_the_name_is_refused():
    with pytest.raises(BadPicture, match="expected JPEG, found PNG"):
        pixels.decode(PNG, "JPEG")
    with pytest.raises(BadPicture, match="expected TIFF or PNG, found JPEG"):
        pixels.decode(JPEG, "TIFF", "PNG")


def test_several_formats_may_be_allowed():
    for content in (PNG, TIFF):
        assert (np.asarray(pixels.decode(content, "TIFF", "PNG")) == picture(1, 64)).all()


@pytest.mark.parametrize(("found", "factor"), [((512, 512), 1), ((1024, 1024), 2), ((1536, 1536), 3)])
def test_whole_factors(found, factor):
    assert encode.whole_factor(found, (512, 512)) == factor


@pytest.mark.parametrize("found", [(1000, 1000), (256, 256), (1024, 512), (1025, 1024), (0, 0)])
def test_no_other_factors(found):
    with pytest.raises(BadPicture, match=f"found {found[1]}x{found[0]}"):
        encode.whole_factor(found, (512, 512))


def test_an_exact_size_allows_no_multiple():
    assert encode.whole_factor((512, 512), (512, 512), exact=True) == 1
    with pytest.raises(BadPicture, match=r"expected 512x512 pixels, found 1024x1024"):
        encode.whole_factor((1024, 1024), (512, 512), exact=True)


def test_written_files_read_back_as_they_were():
    image, labels = picture(2, 32), (road(2, 65) > 0).astype(np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(encode.encode_image(image)))) == image).all()
    palette = Image.open(io.BytesIO(encode.encode_labels(labels, BLACK_AND_WHITE)))
    assert palette.mode == "P"
    assert (np.asarray(palette) == labels).all()
    assert (np.asarray(palette.convert("L")) == 255 * labels).all()
    bits = Image.open(io.BytesIO(encode.encode_bits(labels)))
    assert bits.mode == "1"
    assert (np.asarray(bits) == labels).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (5, 1, 3), (33, 20, 3)])
def test_an_image_of_any_size_reads_back_as_it_was(shape):
    """Noise, whose differences between rows wrap around 256; every other column of another array."""
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    columns = np.repeat(noise, 2, axis=1)[:, ::2]
    for image in (noise, columns, np.zeros_like(noise), np.full_like(noise, 255)):
        written = Image.open(io.BytesIO(encode.encode_image(image)))
        written.verify()  # the checksums
        assert (np.asarray(Image.open(io.BytesIO(encode.encode_image(image)))) == image).all()
        assert (written.mode, written.format) == ("RGB", "PNG")


def test_labels_without_foreground_read_back_too():
    empty = np.zeros((8, 8), np.uint8)
    assert not np.asarray(Image.open(io.BytesIO(encode.encode_labels(empty, BLACK_AND_WHITE)))).any()


def test_one_bit_does_not_swallow_further_classes():
    with pytest.raises(ValueError, match="do not fit into one bit"):
        encode.encode_bits(np.array([[0, 1, 2]], np.uint8))


def test_a_compressed_tiff_with_a_flipped_byte_is_refused_in_silence(capfd):
    """The published WHU labels are so compressed; decoding goes on past the damage with buildings that are not there,
    and tells the screen only."""
    whole = encoded(Image.fromarray(road(3, 64) > 0), "TIFF", compression="group4")
    start = Image.open(io.BytesIO(whole)).tag_v2[273][0]
    length = Image.open(io.BytesIO(whole)).tag_v2[279][0]
    wrong = 0
    for place in range(start, start + length):
        for flip in (1, 16, 255):
            content = bytearray(whole)
            content[place] ^= flip
            damaged = False
            with contextlib.suppress(OSError), Image.open(io.BytesIO(content)) as picture:
                damaged = bool((np.asarray(picture) != (road(3, 64) > 0)).any())
            if capfd.readouterr().err and damaged:  # a flip may also give a good code of other lines
                wrong += 1
                with pytest.raises(BadPicture, match=r"cannot be decoded \(Fax4Decode: "):
                    pixels.decode(bytes(content), "TIFF")
            assert capfd.readouterr().err == ""
    assert wrong > 10


def test_what_others_write_meanwhile_reaches_the_screen(capfd):
    whole = encoded(Image.fromarray(road(3, 64) > 0), "TIFF", compression="group4")
    with pixels._complaints(Image.open(io.BytesIO(whole))) as complaints:
        os.write(2, b"progress 50 %\nerror: not ours\nFax4Decode: Bad code word.\n")
    assert complaints == ["Fax4Decode: Bad code word"]
    assert capfd.readouterr().err == "progress 50 %\nerror: not ours\n"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_refused(kind, channels):
    """Cut to their upper half, as Pillow does with three channels, images of 11 bits would be nearly black."""
    deep = np.full((channels, 8, 8), 1500, np.uint16)
    options = {"interleave": "pixel", "photometric": "RGB"} if kind == "TIFF" and channels == 3 else {}
    profile = {"driver": "GTiff" if kind == "TIFF" else "PNG", "width": 8, "height": 8, "dtype": "uint16", **options}
    with MemoryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with file.open(count=channels, **profile) as out:
            out.write(deep)
        content = file.read()
    assert Image.open(io.BytesIO(content)).mode == ("RGB" if channels == 3 else "I;16")
    with pytest.raises(BadPicture, match="expected at most 8 bits a channel, found 16"):
        pixels.decode(content, kind)
