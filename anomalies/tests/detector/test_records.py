import numpy as np
import pytest

from anomalies.detector.records import Field, Records


class Points(Records):
    __slots__ = ()

    x = Field(np.float64)
    counts = Field(np.uint8, 2)


def test_fields_are_laid_out_in_the_order_of_their_declaration():
    assert Points.dtype == np.dtype([("x", "f8"), ("counts", "u1", (2,))])


def test_assignment_writes_into_the_records_in_their_own_type():
    points = Points.zeros(2)
    points.counts = [[1, 2], [3, 4]]
    points.counts += 250
    assert points.array["counts"].tolist() == [[251, 252], [253, 254]]


def test_one_place_and_a_slice_are_views_and_a_mask_is_a_copy():
    points = Points.zeros(3)
    points[0].x, points[1:].x = 5, 6
    points[np.array([True, True, True])].x = 7
    assert points.x.tolist() == [5, 6, 6]
    assert [float(point.x) for point in points] == [5, 6, 6]


def test_copied_records_go_back_where_they_came_from():
    points = Points.zeros(3)
    part = points[[0, 2]]
    part.x = 1
    points[[0, 2]] = part
    assert points.x.tolist() == [1, 0, 1]


def test_unknown_field_is_refused():
    points = Points.zeros(1)
    with pytest.raises(AttributeError):
        points.xs = 1
