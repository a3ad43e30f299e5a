"""Rasters and masks in the forms that people's tools write, some of them spoilt, and what must come of them."""

import json
import warnings

import numpy as np
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine, from_origin

from tests.fuzz.mutations import bytes_mutated

SPOILT = 0.35
"""Of the cases: some bytes of a file in one of the forms are changed."""

KINDS = ("uint8", "uint16", "int16", "int32", "float32", "float64")
COMPRESSIONS = ("NONE", "DEFLATE", "LZW", "PACKBITS", "ZSTD", "LERC", "LZMA")


def write(path, bands, **options):
    """A GeoTIFF of bands [bands, H, W]."""
    gcps, mask = options.pop("gcps", None), options.pop("mask", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
            dtype=bands.dtype, **options,
        ) as raster:  # fmt: skip
            raster.write(bands)
            if gcps:
                raster.gcps = (gcps, "EPSG:4326")
            if mask is not None:
                raster.write_mask(mask)


def _options(rng):
    options = {"compress": rng.choice(COMPRESSIONS)}
    if rng.random() < 0.3:
        options |= {"tiled": True, "blockxsize": 16, "blockysize": 16}
    if rng.random() < 0.3:
        options["nodata"] = rng.choice((0, 1, 255))
    if rng.random() < 0.5:
        options["crs"] = rng.choice(("EPSG:32633", "EPSG:4326", "EPSG:3857", 'LOCAL_CS["x",UNIT["m",1]]'))
    if rng.random() < 0.6:
        places = (
            from_origin(5, 50, 0.5, 0.5),
            Affine(1, 0, 0, 0, 1, 0),
            Affine(0.4, 0.2, 7, 0.2, -0.4, 9),
            Affine(0, 0, 0, 0, 0, 0),
        )
        options["transform"] = rng.choice(places)
    return options


def raster(home, rng):
    """A scene to predict; return its path."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    height, width = rng.choice(((40, 56), (1, 1), (1, 70), (33, 32), (64, 64)))
    count, kind = rng.choice((1, 2, 3, 3, 3, 4, 5, 8)), rng.choice(KINDS)
    bands = numbers.integers(0, 256, (count, height, width)).astype(kind)
    draw = rng.random()
    if kind.startswith("float") and draw < 0.5:
        bands = {0: bands / 255, 1: bands * np.nan, 2: bands * np.inf, 3: bands * 1e30, 4: -bands}[rng.randrange(5)]
        bands[:, : height // 2] = np.nan if draw < 0.2 else bands[:, : height // 2]
    elif draw < 0.2:
        bands = np.full_like(bands, rng.choice((0, 255)))
    options, path = _options(rng), home / "scene.tif"
    if rng.random() < 0.1:
        options["gcps"] = [GroundControlPoint(r, c, c * 0.1, -r * 0.1) for r, c in ((0, 0), (0, 9), (9, 0))]
    if rng.random() < 0.2:
        options["mask"] = numbers.integers(0, 2, (height, width)).astype(bool)
    try:
        write(path, bands.astype(kind), **options)
    except (rasterio.errors.RasterioError, ValueError, OverflowError):  # of what GDAL itself cannot write
        write(path, bands.astype(kind))
    if rng.random() < 0.15:
        path.with_suffix(".tfw").write_text(rng.choice(("1\n0\n0\n-1\n5\n5\n", "x", "1\n" * 6, "")))
    if rng.random() < 0.15:
        mode = rng.choice(("L", "LA", "RGBA", "CMYK", "P", "I;16", "F", "1"))
        Image.fromarray(numbers.integers(0, 256, (height, width), dtype=np.uint8)).convert(
            mode if mode != "I;16" else "I"
        ).save(path)
    return _perhaps_spoilt(path, rng)


def _perhaps_spoilt(path, rng):
    if rng.random() < SPOILT:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))
    return path


def predicted(out):
    """What is wrong with an accepted prediction: no map, or one that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(out / "map.tif") as made:
                made.read()
    except rasterio.errors.RasterioError as error:
        return f"no map: {error}"
    return ""


def _tif(change, **fixed):
    def save(path, labels, rng):
        options = {name: value for name, value in _options(rng).items() if name != "nodata"} | fixed
        write(path.with_suffix(".tif"), change(labels), **options)

    return save


def _png(change):
    return lambda path, labels, rng: Image.fromarray(change(labels)).save(path.with_suffix(".png"))


def _npy(change):
    return lambda path, labels, rng: np.save(path.with_suffix(".npy"), change(labels), allow_pickle=True)


def _palette(labels):
    picture = Image.fromarray(labels)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    return picture


FORMS = {
    "png 01": _png(lambda a: a),
    "png 0255": _png(lambda a: 255 * a),
    "png bit": _png(lambda a: a.astype(bool)),
    "png rgb": _png(lambda a: np.repeat(255 * a[..., None], 3, axis=2)),
    "png rgba": _png(
        lambda a: np.concatenate([np.repeat(255 * a[..., None], 3, 2), np.full((*a.shape, 1), 255, np.uint8)], 2)
    ),
    "png clear": _png(lambda a: np.repeat(255 * a[..., None], 4, axis=2)),
    "png la": _png(lambda a: np.stack([255 * a, np.full_like(a, 255)], axis=-1)),
    "png 16": _png(lambda a: a.astype(np.uint16)),
    "png palette": lambda path, labels, rng: _palette(labels).save(path.with_suffix(".png")),
    "png inverted": _png(lambda a: 255 - 254 * a),
    **{f"tif {kind}": _tif(lambda a, kind=kind: a[None].astype(kind)) for kind in KINDS},
    "tif 255": _tif(lambda a: 255 * a[None]),
    "tif probabilities": _tif(lambda a: (0.1 + 0.8 * a[None]).astype(np.float32)),
    "tif percent": _tif(lambda a: (10 + 80 * a[None]).astype(np.float32)),
    "tif overshoot": _tif(lambda a: (-0.1 + 0.8 * a[None]).astype(np.float32)),
    "tif logits": _tif(lambda a: (8.0 * a[None] - 3).astype(np.float32)),
    "tif one-hot": _tif(lambda a: np.stack([1 - a, a])),
    "tif label and confidence": _tif(lambda a: np.stack([a, np.full_like(a, 200)])),
    "tif gaps": _tif(lambda a: np.where(np.arange(a.shape[1]) < 9, 255, a)[None].astype(np.uint8), nodata=255),
    "npy bool": _npy(lambda a: a.astype(bool)),
    "npy int64": _npy(lambda a: a.astype(np.int64)),
    "npy big endian": _npy(lambda a: a.astype(">i4")),
    "npy fortran": _npy(lambda a: np.asfortranarray(a)),
    "npy float16": _npy(lambda a: (0.1 + 0.8 * a).astype(np.float16)),
    "npy logits": _npy(lambda a: 8.0 * a - 3),
    "npy overshoot": _npy(lambda a: 1.1 * a - 0.1),
    "npy scaled overshoot": _npy(lambda a: 280.0 * a - 12),
    "npy two": _npy(lambda a: np.stack([0.8 - 0.6 * a, 0.2 + 0.6 * a])),
    "npy last": _npy(lambda a: np.stack([1.0 - a, a], axis=-1)),
    "npy one-hot": _npy(lambda a: np.stack([1 - a, a])),
    "npy nan": _npy(lambda a: np.where(a > 0, np.nan, 0.2)),
    "npy infinite": _npy(lambda a: np.where(a > 0, np.inf, -np.inf)),
    "npy complex": _npy(lambda a: a.astype(complex)),
    "npy objects": _npy(lambda a: a.astype(object)),
    "npy flat": _npy(lambda a: a.ravel()),
    "npy transposed": _npy(lambda a: np.ascontiguousarray(a.T)[:, :-1]),
    "npy deep": _npy(lambda a: a[None, None]),
    "npy text": _npy(lambda a: a.astype(str)),
}
"""Ways to write labels [H, W] of 0 and 1. Whoever reads one of them at all reads those labels."""

DECLARED = {
    "one-hot": ("tif one-hot", "npy one-hot"),
    "probabilities": ("tif", "npy"),
    "logits": ("npy logits", "tif l"),
}


def mask(home, rng, encoding):
    """A folder of predictions that are the truth, in one form; return a file of it, which may be spoilt.

    The file `exact` beside it says that an accepted score must be perfect.
    """
    fitting = [name for name in FORMS if encoding is None or name.startswith(DECLARED.get(encoding, ("",)))]
    form = FORMS[rng.choice(fitting)]
    folder = home / "predicted"
    folder.mkdir()
    for truth in sorted((home / "masks").glob("*.png")):
        with Image.open(truth) as picture:
            form(folder / truth.name, np.asarray(picture), rng)
    path = rng.choice(sorted(folder.iterdir()))
    before = path.read_bytes()
    if _perhaps_spoilt(path, rng).read_bytes() == before and encoding in (None, "labels", "one-hot"):
        (home / "exact").write_text("")
    return path


def scored(home, output):
    """What is wrong with an accepted score: the truth was read as something else."""
    dice = json.loads(output)["scores"]["dice"]
    return f"Dice {dice} of the truth" if (home / "exact").exists() and dice != 1 else ""
