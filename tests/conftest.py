"""What tests at every level share."""

from __future__ import annotations

from datetime import datetime

import pytest

from stepwedge.model.identifiers import uid
from stepwedge.sim import phantom

AT = datetime(2026, 11, 24, 9, 30)


@pytest.fixture
def ct_image():
    """Make one complete CT image as Elements: ``ct_image(number, recipe=..., **changes)``; one number, one instance."""

    def make(number, recipe="ct-chest", **changes):
        return {
            **phantom.image(phantom.recipe(recipe), number, AT, "tests"),
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientName": "MÜLLER^Jörg",
            "PatientID": "SW12345678",
            "IssuerOfPatientID": "STEPWEDGE",
            "PatientBirthDate": "19700101",
            "PatientSex": "M",
            "StudyInstanceUID": uid("tests", "study"),
            "SeriesInstanceUID": uid("tests", "series"),
            "SOPInstanceUID": uid("tests", "instance", number),
            "FrameOfReferenceUID": uid("tests", "frame"),
            "PositionReferenceIndicator": "",
            "StudyDate": "20261124",
            "StudyTime": "093000",
            "SeriesDate": "20261124",
            "SeriesTime": "093000",
            "AccessionNumber": "SW00012345",
            "StudyID": "RP1",
            "StudyDescription": "CT chest",
            "ReferringPhysicianName": "",
            "SeriesNumber": "1",
            "Manufacturer": "Stepwedge",
            "ManufacturerModelName": "Simulated CT",
            "DeviceSerialNumber": "1",
            "SoftwareVersions": "1",
            "StationName": "CT",
            "RequestAttributesSequence": [{"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "S1"}],
            "ReferencedPerformedProcedureStepSequence": [
                {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "ReferencedSOPInstanceUID": uid("tests", "mpps")}
            ],
            **changes,
        }

    return make
