"""The storage SOP classes, against pynetdicom's table."""

from __future__ import annotations

from stepwedge.wire.storage_classes import storage_classes


def test_every_class_of_pynetdicom_that_holds_a_patient_is_there():
    from pynetdicom.sop_class import _STORAGE_CLASSES

    assert set(_STORAGE_CLASSES.values()) <= set(storage_classes())
    assert len(set(storage_classes())) == len(storage_classes())


def test_what_hospitals_use_most_fits_into_one_association():
    first = storage_classes()[:120]
    for tail in (
        "2",
        "4",
        "1",
        "1.1",
        "1.2",
        "6.1",
        "3.1",
        "20",
        "128",
        "12.1",
        "12.2",
        "88.59",
        "88.67",
        "104.1",
    ):
        assert f"1.2.840.10008.5.1.4.1.1.{tail}" in first, tail
