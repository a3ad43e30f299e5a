"""Refuse TIFFs whose header shows that they are no image or mask as networks need it, before a pixel is decoded."""

from __future__ import annotations

from data_prep.images.alpha import ONE_BAND
from data_prep.images.decode import BadPicture
from data_prep.images.tiff_header import TiffHeader

ONLY_GDAL = (34887, 50001, 50002)
"""Compressions that GDAL decodes and Pillow does not: LERC, WEBP, JPEG XL."""


def refuse_unfit(header: TiffHeader, *, labels: bool, remedy: str = ONE_BAND, by_gdal: bool = False) -> None:
    """Raise BadPicture for what is no picture of whole bytes or wider numbers, and for a mask of too many bands.

    With `by_gdal`, GDAL decodes the file in any case.
    """
    if header.pictures > 1:
        raise BadPicture(f"expected one picture, found {header.pictures} in one file")
    _refuse_values(header, labels=labels, by_gdal=by_gdal)
    if labels and header.extra and not header.has_alpha:
        raise BadPicture(
            f"expected a mask of one number or one colour a pixel, found {header.bands} bands (one for each class?); "
            f"{remedy}; or, if the others are no classes, keep one: gdal_translate -b 1 OLD NEW"
        )
    by_gdal |= header.placed or header.nodata or header.masked or header.bits > 8 or header.compression in ONLY_GDAL
    if header.turned and by_gdal:  # Pillow turns pixels, GDAL does not
        raise BadPicture("expected an upright picture, found one that viewers turn; save it upright")


def _refuse_values(header: TiffHeader, *, labels: bool, by_gdal: bool) -> None:
    """Raise BadPicture for complex numbers, and for values that Pillow and GDAL would read as different ones.

    Pillow stretches 2 and 4 bits to 0..255, and turns values of which 0 is white. GDAL does neither.
    """
    save = f"gdal_translate -co NBITS=8 {'-co PHOTOMETRIC=MINISBLACK ' if header.inverted else ''}-ot Byte"
    most = (1 << min(header.bits, 64)) - 1  # a header may state any number
    if header.complex:
        raise BadPicture(
            "expected whole or real numbers, found complex ones; keep the real part: gdal_translate -ot Float32 OLD NEW"
        )
    if not header.palette and header.bits < 8 and (header.bits > 1 if labels else by_gdal):
        scale = "" if labels else f" -scale 0 {most} 0 255"
        raise BadPicture(f"expected 8 bits a value, found {header.bits}; rewrite it: {save}{scale} OLD NEW")
    if header.inverted and by_gdal:
        scale = f" -scale 0 {most} {most if labels else 255} 0"
        raise BadPicture(f"expected 0 as black, found 0 as white (MINISWHITE); turn it: {save}{scale} OLD NEW")


def refuse_unwritten(header: TiffHeader) -> None:
    """Raise BadPicture if blocks were never written: Pillow calls such a file truncated, whatever the reason."""
    if header.unwritten:
        raise BadPicture(
            "expected pixels in every block, found blocks that were never written (a sparse file, or its writing was "
            "interrupted); if 0 or no data is right there, fill them: gdal_translate OLD NEW"
        )
