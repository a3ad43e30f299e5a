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
from rssam.inference.vectors import Ground, regions, write_vectors

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
    place = Ground(Georeference(None if crs is None else CRS.from_string(crs), transform), pixels.shape)
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


SQUARE = np.zeros((9, 9), np.uint8)
SQUARE[2:5, 3:5] = 1  # 6 pixels, an outline of 10 edges


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (None, Affine(0.05, 0, 366676, 0, -0.05, 5808580)),  # a world file: 0.015 "pixels" for six
        (None, Affine(0.04, 0.03, 366676, 0.03, -0.04, 5808580)),  # turned
        (None, Affine(0.05, 0.02, 0, 0, -0.07, 0)),  # sheared
        ('LOCAL_CS["site",UNIT["metre",1]]', Affine(0.05, 0, 100, 0, -0.05, 100)),
        ("EPSG:32654", None),  # a coordinate system without a transform gave degrees of pixels
        ("EPSG:4326", UTM),  # metres of a UTM zone that are said to be degrees gave a number that means nothing
    ],
)
def test_where_there_are_no_metres_sizes_count_pixels(tmp_path, crs, transform):
    _, shapes, fields = vectors(tmp_path, SQUARE, crs, transform, {1: "roof"})
    assert (fields["area_px"].tolist(), fields["perimeter_px"].tolist()) == ([6.0], [10.0])
    corner = (transform or Affine.scale(1, -1)) @ (3, 2)
    assert shapely.distance(shapes[0].boundary, shapely.Point(corner)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("crs", "x", "y", "unit"),
    [
        ("EPSG:27572", 600000, 2200000, 1.0),  # of Paris, whose degrees are grads: 1.23 times the area
        ("EPSG:2263", 980000, 200000, 1200 / 3937),  # feet
        ("EPSG:25833+5783", 366676, 5808580, 1.0),  # with heights
    ],
)
def test_units_of_a_coordinate_system_become_metres(tmp_path, crs, x, y, unit):
    _, _, fields = vectors(tmp_path, SQUARE, crs, Affine(10 / unit, 0, x, 0, -10 / unit, y), {1: "roof"})
    assert fields["area_m2"][0] == pytest.approx(600, rel=0.002)
    assert fields["perimeter_m"][0] == pytest.approx(100, rel=0.001)
