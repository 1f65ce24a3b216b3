from __future__ import annotations

import pytest

from stepwedge.lab.recording.ear import Recording
from stepwedge.lab.recording.surrogates import Surrogates
from tests.record.canaries import Aviary


@pytest.fixture
def aviary():
    return Aviary()


@pytest.fixture
def recording():
    return Recording(Surrogates())
