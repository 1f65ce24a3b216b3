"""The two doors of an archive, each to store and to read by: DIMSE and DICOMweb. What came in by one is read by the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from stepwedge.errors import Refused, WireError
from stepwedge.wire import dimse_asyncio, part10
from stepwedge.wire.dicomweb import DicomWeb
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode
from stepwedge.wire.http_blocking import HttpRefused
from stepwedge.wire.results import Instance
from stepwedge.wire.services import STUDY_FIND, STUDY_GET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.load.intents import Image, Intents, Study
    from stepwedge.load.ledger import State
    from stepwedge.sim.address import Address
    from stepwedge.wire.dicomweb import StowResult
    from stepwedge.wire.elements import Elements

CALLING: Final = "SW_CT1"
_INSUFFICIENT: Final = 507


@dataclass
class Held:
    """What an archive shows of a study.

    Attributes:
        listed: how often each SOP Instance UID is in the answer to a query.
        opened: the data sets that could be retrieved, all that came for each UID.
    """

    listed: Counter[str] = field(default_factory=Counter)
    opened: dict[str, list[Elements]] = field(default_factory=dict)

    def put(self, instance: Instance) -> None:
        """Take in what was retrieved."""
        explicit = instance.transfer_syntax != IMPLICIT_LE
        self.opened.setdefault(instance.sop_instance, []).append(decode(instance.data, explicit=explicit))


class Door(Protocol):
    """One way into an archive and out of it."""

    @property
    def name(self) -> str:
        """``dimse`` or ``dicomweb``."""
        ...

    async def store(self, study: Study, images: Sequence[Image], intents: Intents, number: int) -> None:
        """Send images, each written down before and after; raises WireError when it must end before all were sent."""
        ...

    async def held(self, study: Study) -> Held:
        """Return everything it shows of a study, listed and retrieved."""
        ...

    async def listed(self, study: Study) -> Counter[str]:
        """Return what it lists of a study."""
        ...


class Dimse:
    """C-STORE; C-FIND and C-GET."""

    name = "dimse"

    def __init__(self, address: Address, port: int = 0, timeout: float = 10.0) -> None:
        """Speak to an archive, or to the tap at ``port`` before it."""
        assert address.dicom is not None  # noqa: S101 - looked at before anything was started
        self._ae = address.dicom.ae
        self._host, self._port = ("127.0.0.1", port) if port else (address.dicom.host, address.dicom.port)
        self.timeout = timeout

    async def _open(
        self, contexts: Sequence[str | tuple[str, Sequence[str]]], scp_of: Sequence[str] = ()
    ) -> dimse_asyncio.Association:
        return await dimse_asyncio.open(
            self._host,
            self._port,
            calling=CALLING,
            called=self._ae,
            contexts=contexts,
            timeout=self.timeout,
            scp_of=scp_of,
        )

    async def store(self, study: Study, images: Sequence[Image], intents: Intents, number: int) -> None:
        """Send images on one association."""
        del study
        classes = sorted({one.instance.sop_class for one in images})
        async with await self._open([(one, (EXPLICIT_LE,)) for one in classes]) as association:
            for image in images:
                intents.note([image], "attempted", number, self.name)
                sent = image.instance
                result = await association.store(sent.sop_class, sent.sop_instance, EXPLICIT_LE, sent.data)
                taken = result.category in {"success", "warning"}
                state: State = "acknowledged" if taken else "refused"
                intents.note(
                    [image], state, number, self.name, f"{result.status:04X} {result.comment}".strip()
                )

    async def listed(self, study: Study) -> Counter[str]:
        """Find the instances of the study."""
        async with await self._open([STUDY_FIND]) as association:
            keys = {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": study.uid}
            keys |= {"SeriesInstanceUID": study.series, "SOPInstanceUID": ""}
            answers = await association.find(STUDY_FIND, keys)
        if answers.category != "success":
            raise Refused(f"C-FIND {answers.status:04X} {answers.comment}")
        return Counter(str(one.get("SOPInstanceUID")) for one in answers)

    async def held(self, study: Study) -> Held:
        """Find and get the study."""
        said = Held(await self.listed(study))
        if not said.listed:
            return said
        classes = sorted({one.instance.sop_class for one in study.images})
        async with await self._open([STUDY_GET, *classes], classes) as association:
            keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study.uid}
            for instance in (await association.get(STUDY_GET, keys)).instances:
                said.put(instance)
        return said


class Web:
    """STOW-RS, one request and one connection for each pair of images; QIDO-RS and WADO-RS."""

    name = "dicomweb"

    def __init__(self, address: Address, port: int = 0, timeout: float = 10.0) -> None:
        """Speak to an archive, or to the tap at ``port`` before it."""
        parts = urlsplit(address.web or "")
        moved = parts._replace(netloc=f"127.0.0.1:{port}") if port else parts
        self._root = urlunsplit(moved)
        self.timeout = timeout

    async def store(self, study: Study, images: Sequence[Image], intents: Intents, number: int) -> None:
        """Send images, two in a request."""
        del study
        for at in range(0, len(images), 2):
            pair = images[at : at + 2]
            intents.note(pair, "attempted", number, self.name)
            try:
                result = await asyncio.to_thread(self._stow, pair)
            except HttpRefused as refused:
                if not 400 <= refused.status < 500 and refused.status != _INSUFFICIENT:  # noqa: PLR2004 - RFC 9110
                    raise  # it says that something went wrong, not what became of it
                intents.note(pair, "refused", number, self.name, f"HTTP {refused.status}")
                continue
            stored = {one.sop_instance for one in result.stored}
            for image in pair:
                state: State = "acknowledged" if image.sop in stored else "refused"
                intents.note([image], state, number, self.name, f"HTTP {result.status}")

    def _stow(self, images: Sequence[Image]) -> StowResult:
        with DicomWeb(self._root, timeout=self.timeout) as web:
            return web.stow([part10.write(one.instance) for one in images])

    async def listed(self, study: Study) -> Counter[str]:
        """Search the instances of the study."""
        return await asyncio.to_thread(self._listed, study)

    def _listed(self, study: Study) -> Counter[str]:
        with DicomWeb(self._root, timeout=self.timeout) as web:
            keys = {"StudyInstanceUID": study.uid}
            if not web.qido("studies", keys):
                return Counter()
            return Counter(str(one.get("SOPInstanceUID")) for one in web.qido("instances", study=study.uid))

    async def held(self, study: Study) -> Held:
        """Search and retrieve the study."""
        return await asyncio.to_thread(self._held, study)

    def _held(self, study: Study) -> Held:
        said = Held(self._listed(study))
        if said.listed:
            with DicomWeb(self._root, timeout=self.timeout) as web:
                try:
                    files = web.wado(study.uid)
                except HttpRefused:  # what is listed cannot be opened: that is what it shows
                    files = []
                for raw in files:
                    file = part10.read(raw)
                    said.put(Instance(file.sop_class, file.sop_instance, file.transfer_syntax, file.data))
        return said


async def quiet(door: Door, study: Study, pause: float = 0.1, looks: int = 50) -> None:
    """Wait until two looks in a row list the same; raises WireError when the archive never becomes quiet."""
    before = None
    for _ in range(looks):
        now = await door.listed(study)
        if now == before:
            return
        before = now
        await asyncio.sleep(pause)
    raise WireError(f"what is listed of study {study.uid} never became still")
