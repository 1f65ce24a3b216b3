"""The storage SOP classes, against pynetdicom's table."""

from __future__ import annotations

from stepwedge.wire.storage_classes import storage_classes


def test_every_class_of_pynetdicom_that_holds_a_patient_is_there():
    from pynetdicom.sop_class import _STORAGE_CLASSES

    assert set(_STORAGE_CLASSES.values()) <= set(storage_classes())
    assert len(set(storage_classes())) == len(storage_classes())
