"""What the operator of the DICOM router can be told to do."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Undo, Word, define

_DESTINATION = (Parameter("destination", required=True, says="the actor at the end of the queue"),)

define(
    Word(
        "router",
        "pause",
        "keep back what is for one destination, and go on taking images for it",
        _DESTINATION,
        {"destination": "the actor"},
        undo=Undo("resume", {"destination": "destination"}),
    ),
    Word(
        "router",
        "resume",
        "let out what was kept back, the urgent first",
        _DESTINATION,
        {"destination": "the actor"},
    ),
    Word(
        "router",
        "replay",
        "send again the images that a destination would not take",
        _DESTINATION,
        {"destination": "the actor", "objects": "how many wait again"},
    ),
    Word(
        "router",
        "restart",
        "restart the router as after a power cut: what is not on its disk is gone",
        (),
        {"objects": "how many images are on its disk"},
        alone=True,
    ),
)
