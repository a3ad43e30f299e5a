"""Polygons joined across strips against GDAL's of the whole raster; areas against pyproj and plane geometry."""

import warnings

import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from rssam.contract import IGNORE
from rssam.inference.geotiff import Georeference
from rssam.inference.vectors import regions, write_vectors

UTM = Affine(0.2, 0, 400000, 0, -0.2, 3900000)


def land(height, width, seed=1):
    noise = np.random.default_rng(seed).normal(size=(3, height, width))
    labels = ndimage.gaussian_filter(noise, (0, 3, 3)).argmax(0).astype(np.uint8)
    labels[30:50, 20:40] = IGNORE
    return labels


@pytest.mark.parametrize("strip", [1, 7, 64, 512])
@pytest.mark.parametrize("labels", [(0, 1, 2), (1,)])
def test_no_seam_is_left_where_strips_meet(strip, labels):
    pixels = land(130, 90)
    found = regions(lambda top, bottom: pixels[top:bottom], pixels.shape, labels, strip)
    whole = rasterio.features.shapes(pixels, np.isin(pixels, labels), connectivity=4)
    assert sorted((region.label, region.outline.normalize().wkt) for region in found) == sorted(
        (int(label), shapely.geometry.shape(shape).normalize().wkt) for shape, label in whole
    )


def test_a_region_that_crosses_every_strip_is_one_with_its_hole():
    pixels = np.ones((40, 12), np.uint8)
    pixels[4:36, 4:8] = 0
    found = list(regions(lambda top, bottom: pixels[top:bottom], pixels.shape, (1,), 5))
    assert [(region.outline.area, len(region.outline.interiors)) for region in found] == [(40 * 12 - 32 * 4, 1)]


def vectors(tmp_path, pixels, crs, transform, classes):
    out = tmp_path / "map.gpkg"
    place = Georeference(None if crs is None else CRS.from_string(crs), transform)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        count = write_vectors(lambda top, bottom: pixels[top:bottom], pixels.shape, classes, place, out)
    meta, _, wkb, fields = pyogrio.raw.read(out)
    assert count == len(wkb)
    return meta, shapely.from_wkb(wkb), dict(zip(meta["fields"], fields, strict=True))


def test_areas_are_those_of_the_ground_in_every_coordinate_system(tmp_path):
    """The same square of 100 m on the ground, in metres, in degrees, and in Web Mercator, which stretches it."""
    pixels = np.zeros((110, 110), np.uint8)
    pixels[5:105, 5:105] = 1
    pixels[50:60, 50:60] = 0  # a hole of 10 m
    metre_north, metre_east = 1 / 110942.8, 1 / 91287.8  # of a degree at 35 N on WGS 84
    stretch = 1.2203  # of Web Mercator there
    cases = {
        "EPSG:32654": Affine(1, 0, 500000, 0, -1, 3873000),  # on the central meridian: scale 0.9996
        "EPSG:4326": Affine(metre_east, 0, 141, 0, -metre_north, 35.0005),
        "EPSG:3857": Affine(stretch, 0, 15695932, 0, -stretch, 4163950),
    }
    for crs, transform in cases.items():
        (folder := tmp_path / crs[5:]).mkdir()
        meta, shapes, fields = vectors(folder, pixels, crs, transform, {1: "roof"})
        assert CRS.from_user_input(meta["crs"]) == CRS.from_string(crs)
        assert fields["class"].tolist() == ["roof"]
        assert fields["area_m2"][0] == pytest.approx(9900, rel=0.006)
        assert fields["perimeter_m"][0] == pytest.approx(440, rel=0.006)
        left, _, _, top = shapes[0].bounds
        corner = transform @ (5, 5)
        assert (left, top) == pytest.approx(corner, abs=1e-9 * abs(corner[0]))


def test_without_a_coordinate_system_sizes_are_in_pixels(tmp_path):
    pixels = np.zeros((9, 9), np.uint8)
    pixels[2:5, 3:7] = 1
    meta, shapes, fields = vectors(tmp_path, pixels, None, None, {1: "roof"})
    assert meta["crs"] is None
    assert (fields["area_px"].tolist(), fields["perimeter_px"].tolist()) == ([12.0], [14.0])
    assert shapes[0].bounds == (3, -5, 7, -2)


def test_a_map_without_any_region_gives_an_empty_layer(tmp_path):
    meta, shapes, _ = vectors(tmp_path, np.zeros((9, 9), np.uint8), "EPSG:32654", UTM, {1: "roof"})
    assert len(shapes) == 0
    assert meta["fields"].tolist() == ["class", "label", "area_m2", "perimeter_m"]
