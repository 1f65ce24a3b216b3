"""Known wrong behaviours of archives, each in the place of one habit; the defect catalogue tells who really had them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import collect, quirk
from stepwedge.wire.elements import EXPLICIT_LE

from . import quirks_identity, quirks_life, quirks_people, quirks_queries
from .habits import PacsHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .rendering import Window
    from .state import Failure, Instance, Person


@quirk(
    "store.success_on_failure",
    defect="DEF-080",
    severity="S1",
    overrides=PacsHabits.keeps,
    notices="an image that the scanner was told is safe cannot be opened",
)
def success_on_failure(_: Callable[..., bool], instance: Instance) -> bool:
    """Answer 0000 and drop the second image of a series; seen as a count short by one and a failed commitment."""
    return str(instance.header.get("InstanceNumber")) != "2"


@quirk(
    "img.bad_digest",
    defect="DEF-127",
    severity="S2",
    overrides=PacsHabits.notices,
    notices="a damaged image is shown as if it were whole (nobody compares it with what came)",
)
def bad_digest(_: Callable[[bool], bool], _damaged: bool) -> bool:
    """Find every image in order."""
    return False


@quirk(
    "store.short_pixels",
    defect="DEF-129",
    severity="S1",
    overrides=PacsHabits.refuses_short,
    notices="the lower part of an image is black, and nobody was told that it never came (0000 for fewer bytes than Rows x Columns)",
)
def short_pixels(_: Callable[[int], bool], _missing: int) -> bool:
    """Take whatever pixels there are."""
    return False


@quirk(
    "store.resend_deletes",
    defect="DEF-081",
    severity="S1",
    overrides=PacsHabits.duplicate,
    notices="after the scanner sent the study twice, images are missing",
)
def resend_deletes(original: Callable[[bool], str], same_content: bool) -> str:
    """Delete what is there when the same comes again; seen as a count that falls after a resend."""
    return "delete" if same_content else original(same_content)


@quirk(
    "store.duplicate_fails",
    defect="DEF-084",
    severity="S3",
    overrides=PacsHabits.duplicate,
    notices="the scanner keeps sending the same study and never gets rid of it",
)
def duplicate_fails(_: Callable[[bool], str], _same_content: bool) -> str:
    """Refuse an identical instance; seen as a C-STORE status that is not 0000."""
    return "refuse"


@quirk(
    "store.overwrite_different",
    defect="DEF-225",
    severity="S1",
    overrides=PacsHabits.duplicate,
    notices="another picture stands where the original was, and nobody was told",
)
def overwrite_different(original: Callable[[bool], str], same_content: bool) -> str:
    """Replace an instance by another of the same UID; seen as 0000 and a pixel hash that changed."""
    return original(same_content) if same_content else "replace"


@quirk(
    "store.single_failed_item",
    defect="DEF-088",
    severity="S1",
    overrides=PacsHabits.failures,
    notices="the scanner deletes images that the archive never had",
)
def single_failed_item(
    _: Callable[..., tuple[Failure, ...]], failed: tuple[Failure, ...]
) -> tuple[Failure, ...]:
    """Report one failed instance of several; seen as a committed instance that no query finds."""
    return failed[:1]


@quirk(
    "stgcmt.commits_missing",
    defect="not listed",
    severity="S1",
    overrides=PacsHabits.failures,
    notices="the scanner deletes an image that the archive never had",
)
def commits_missing(
    _: Callable[..., tuple[Failure, ...]], failed: tuple[Failure, ...]
) -> tuple[Failure, ...]:
    """Answer for whatever is asked; seen as a committed instance that was never sent."""
    return failed[:0]


@quirk(
    "stgcmt.next_forgotten",
    defect="not listed",
    severity="S2",
    overrides=PacsHabits.remembers,
    notices="the scanner's disk fills up: it asks again and again, and the archive says nothing",
    needs="commitment",
)
def next_forgotten(_: Callable[[bool], bool], _owed: bool) -> bool:
    """Never bring a result on a later association; seen as no N-EVENT-REPORT at all."""
    return False


@quirk(
    "stgcmt.same_assoc_only",
    defect="DEF-258",
    severity="S2",
    overrides=PacsHabits.calls_back,
    notices="the scanner's disk fills up: the archive never confirms",
)
def same_association_only(_: Callable[[], bool]) -> bool:
    """Drop a commitment result whose association is gone; seen as no N-EVENT-REPORT at all."""
    return False


@quirk(
    "merge.ris_only",
    defect="DEF-203",
    severity="S1",
    overrides=PacsHabits.merges,
    notices="after the merge the prior study is in the RIS, and not in the archive",
)
def ignores_merges(_: Callable[[], bool]) -> bool:
    """Acknowledge A40 and do nothing; seen as studies still under the prior ID."""
    return False


@quirk(
    "merge.return_merged",
    defect="DEF-028",
    severity="S2",
    overrides=PacsHabits.lists,
    notices="the patient list shows a patient who no longer exists",
)
def return_merged(_: Callable[[Person], bool], _person: Person) -> bool:
    """Offer merged patients to queries; seen as a C-FIND at PATIENT level that returns the prior."""
    return True


@quirk(
    "merge.stale_counts",
    defect="DEF-026",
    severity="S3",
    overrides=PacsHabits.study_count,
    notices="the patient list says there are fewer studies than it shows",
)
def stale_counts(_: Callable[[int, int], int], own: int, _brought: int) -> int:
    """Forget what merges brought; seen as (0020,1200) unlike the number of studies."""
    return own


@quirk(
    "patient.name_corrupt",
    defect="DEF-039",
    severity="S1",
    overrides=PacsHabits.names,
    notices="the patient's given name is missing in the archive",
)
def name_corrupt(_: Callable[[str], str], name: str) -> str:
    """Keep the family name of PID-5 only; seen as (0010,0010) unlike PID-5 in queries and retrieved headers."""
    return name.partition("^")[0]


@quirk(
    "demog.online_only",
    defect="DEF-220",
    severity="S1",
    overrides=PacsHabits.rewrites,
    notices="an image that was opened still carries the patient's old name or ID",
)
def online_only(_: Callable[..., dict[str, Any]], _changes: dict[str, Any]) -> dict[str, Any]:
    """Correct the index and not the objects; seen as a retrieved header unlike the query's answer."""
    return {}


@quirk(
    "find.modalities_in_study",
    defect="DEF-101",
    severity="S3",
    overrides=PacsHabits.modalities,
    notices="a search for CT studies does not find the CT study",
)
def wrong_modalities(_: Callable[..., list[str]], _found: Sequence[str]) -> list[str]:
    """Say OT for every study; seen as (0008,0061) without the Modality of its series."""
    return ["OT"]


@quirk(
    "img.missing_slice_ok",
    defect="DEF-126",
    severity="S1",
    overrides=PacsHabits.delivers,
    notices="a slice is missing in the study that was opened",
)
def missing_slice(_: Callable[..., list[Instance]], instances: list[Instance]) -> list[Instance]:
    """Leave one instance out of a retrieval and count the rest as all; seen as fewer images than the query says."""
    return instances[:1] + instances[2:]


@quirk(
    "img.undeclared_lossy",
    defect="DEF-125",
    severity="S1",
    overrides=PacsHabits.pixels,
    notices="fine detail is gone, and the image does not say that it was compressed",
)
def undeclared_lossy(_: Callable[[bytes], bytes], value: bytes) -> bytes:
    """Deliver pixels without their lowest bits; seen as a pixel hash that changed under the same UID."""
    return bytes(byte & 0xFC if place % 2 == 0 else byte for place, byte in enumerate(value))


@quirk(
    "img.pixels_lost_transcode",
    defect="DEF-112",
    severity="S1",
    overrides=PacsHabits.pixels,
    notices="the image opens black",
)
def pixels_lost(_: Callable[[bytes], bytes], value: bytes) -> bytes:
    """Deliver empty frames; seen as a pixel hash that changed under the same UID."""
    return bytes(len(value))


@quirk(
    "qr.counters",
    defect="DEF-103",
    severity="S3",
    overrides=PacsHabits.completed,
    notices="the workstation's progress says that images are missing when all came",
)
def counters(_: Callable[[int], int], done: int) -> int:
    """Report one completed sub-operation too few; seen as counts that do not add up to what arrived."""
    return max(done - 1, 0)


@quirk(
    "merge.crash",
    defect="DEF-032",
    severity="S2",
    overrides=PacsHabits.changes_identifiers,
    notices="a patient with a new number has lost the old images (ADT^A47 is refused, nothing under the new ID)",
)
def crash(_: Callable[[str], bool], prior: str) -> bool:
    """Fail on a change of identifier."""
    return not prior


@quirk(
    "ack.missing_or_wrong",
    defect="DEF-075",
    severity="S1",
    overrides=PacsHabits.admits_failure,
    notices="the office believes that a number was changed, and it was not (ADT^A47 onto another patient answered AA)",
)
def wrong_ack(_: Callable[[str], bool], problem: str) -> bool:
    """Answer AA to what was not done."""
    return not problem


@quirk(
    "study.never_adopted",
    defect="not listed",
    severity="S2",
    overrides=PacsHabits.adopts,
    notices="the images of an exam ordered afterwards stay without an order ((0008,0050) empty after RAD-4)",
)
def never_adopted(original: Callable[[str], bool], accession: str) -> bool:
    """Leave what came without an order without an order."""
    return not accession and original(accession)


@quirk(
    "img.transcode_values",
    defect="not listed",
    severity="S1",
    overrides=PacsHabits.transcoded,
    notices="the same image shows other densities on a workstation that takes another compression",
)
def transcode_values(_: Callable[[bytes], bytes], value: bytes) -> bytes:
    """Change the last bit of a pixel whenever an image is written in another transfer syntax; seen as a pixel hash."""
    return value[:-2] + bytes((value[-2] ^ 1, value[-1])) if len(value) > 1 else value


@quirk(
    "img.needless_decompress",
    defect="DEF-124",
    severity="S4",
    overrides=PacsHabits.sends,
    notices="images take three times as long over the line, although they were asked for compressed",
)
def needless_decompress(_: Callable[[str], str], _transfer_syntax: str) -> str:
    """Send explicit little endian over DICOMweb whatever was negotiated; seen as the transfer syntax of the answer."""
    return EXPLICIT_LE


@quirk(
    "img.frame_addressing",
    defect="DEF-121",
    severity="S2",
    overrides=PacsHabits.frame,
    notices="a cine run starts with its second frame",
)
def frame_addressing(_: Callable[[int, int], int], number: int, count: int) -> int:
    """Count frames from 0; seen as another frame than the one asked for."""
    return min(number + 1, count)


@quirk(
    "img.window_ignored",
    defect="not listed",
    severity="S2",
    overrides=PacsHabits.window,
    notices="the web viewer shows the same grey whatever window is set",
)
def window_ignored(_: Callable[..., Window | None], _wanted: Window | None) -> Window | None:
    """Render with the object's own window; seen as grey levels unlike the window that was asked for."""
    return None


@quirk(
    "demog.no_originals",
    defect="not listed",
    severity="S3",
    overrides=PacsHabits.originals,
    notices="nobody can see in the image what it said before the patient was corrected",
)
def no_originals(_: Callable[..., dict[str, Any]], _item: dict[str, Any]) -> dict[str, Any]:
    """Change patient attributes and keep quiet about it; seen as no (0400,0561) in the retrieved header."""
    return {}


@quirk(
    "find.relational_ignored",
    defect="not listed",
    severity="S3",
    overrides=PacsHabits.relational,
    notices="a workstation that searches series directly is refused, although that was agreed on",
)
def relational_ignored(_: Callable[[bool], bool], _agreed: bool) -> bool:
    """Agree to relational queries and refuse them; seen as A900."""
    return False


@quirk(
    "find.fuzzy_literal",
    defect="not listed",
    severity="S3",
    overrides=PacsHabits.fuzzy,
    notices="a patient whose name was heard on the telephone is not found, although the archive says it can",
)
def fuzzy_literal(_: Callable[[bool], bool], _agreed: bool) -> bool:
    """Agree to match names by sound and match them by letter; seen as a study that is not found."""
    return False


@quirk(
    "fhir.counts_frozen",
    defect="DEF-140",
    severity="S2",
    overrides=PacsHabits.published,
    notices="who reads by FHIR sees one image of a study of many (ImagingStudy.numberOfInstances is not that of QIDO-RS)",
)
def counts_frozen(_: Callable[[list[Instance]], list[Instance]], instances: list[Instance]) -> list[Instance]:
    """Show a study as it was when its first image came."""
    return instances[:1]


@quirk(
    "fhir.no_accession",
    defect="DEF-142",
    severity="S2",
    overrides=PacsHabits.published_accession,
    notices="the study is not found by its order (no identifier of type ACSN in ImagingStudy)",
)
def no_accession(_: Callable[[str], str], accession: str) -> str:
    """Leave the accession number out of ImagingStudy."""
    return accession[:0]


@quirk(
    "store.success_when_full",
    defect="DEF-080",
    severity="S1",
    overrides=PacsHabits.refuses_when_full,
    notices="images are gone that the archive acknowledged while its disk was full (0000 instead of A700)",
    needs="disk",
)
def success_when_full(original: Callable[[int], int], status: int) -> int:
    """Swallow what the disk said."""
    return original(status) and 0


QUIRKS = (
    collect(globals())
    | collect(vars(quirks_life))
    | collect(vars(quirks_identity))
    | collect(vars(quirks_people))
    | collect(vars(quirks_queries))
)
