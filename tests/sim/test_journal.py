"""The journal: numbered, flushed, torn lines, long poll, large payloads."""

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest

from stepwedge.evidence.exchange import INLINE_LIMIT, Exchange, Payload
from stepwedge.evidence.journal import Journal, read


def exchange(kind="ADT^A04", request=b"", response=b"", **facts):
    return Exchange(
        0,
        1.5,
        0.25,
        "ris",
        "in",
        "hl7",
        kind,
        "ehr",
        "AA",
        {"patient": ["SW1"]},
        facts,
        Payload.of(request),
        Payload.of(response),
    )


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


@pytest.mark.parametrize("data", [b"", b"text\r", "Möller".encode(), b"M\xf6ller", b"\x00\xff", b'"\\\n\x0b'])
def test_payloads_come_back_byte_for_byte(journal, data):
    journal.append(exchange(request=data))
    (back,) = journal.after(0)
    assert back.request.read() == data
    assert back.number == 1


def test_every_line_is_there_when_append_returns(journal, tmp_path):
    assert [journal.append(exchange(str(number))) for number in range(3)] == [1, 2, 3]
    assert [line["kind"] for line in read(tmp_path / "journal.jsonl")] == ["0", "1", "2"]
    assert [each.number for each in journal.after(1)] == [2, 3]
    assert [each.number for each in journal.after(0, most=2)] == [1, 2]
    assert journal.after(3) == []


def test_large_payloads_become_files_by_hash_once(journal, tmp_path):
    data = bytes(INLINE_LIMIT + 1)
    journal.append(exchange(request=data))
    journal.append(exchange(response=data))
    first, second = journal.after(0)
    assert first.request.file == second.response.file
    assert first.request.read() == data
    assert len(list((tmp_path / "blobs").iterdir())) == 1


def test_a_file_that_somebody_keeps_becomes_evidence_that_outlives_it(journal, tmp_path):
    data, head = bytes(INLINE_LIMIT + 1), b"head"
    kept = tmp_path / "kept"
    kept.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    payload = Payload(data, sha256=sha256, size=len(head) + len(data), head=head)
    for _ in range(2):
        adopted = journal.adopt(kept, payload)
        journal.append(replace(exchange(), request=adopted))
    assert kept.stat().st_nlink == 2
    kept.unlink()
    for line in journal.after(0):
        assert (line.request.sha256, line.request.size) == (sha256, len(head) + len(data))
        assert line.request.read() == head + data


def test_a_payload_with_a_head_is_written_when_nobody_keeps_it(journal, tmp_path):
    for data in (b"short\0", bytes(INLINE_LIMIT + 1)):
        payload = Payload(data, sha256=hashlib.sha256(data).hexdigest(), size=4 + len(data), head=b"head")
        assert journal.adopt(tmp_path / "nowhere", payload) == payload
        journal.append(replace(exchange(), request=payload))
        assert journal.after(journal.last - 1)[0].request.read() == b"head" + data


def test_a_changed_payload_file_is_noticed(journal):
    journal.append(exchange(request=bytes(INLINE_LIMIT + 1)))
    (back,) = journal.after(0)
    with open(back.request.file, "ab") as file:  # noqa: PTH123 - a name, not a path
        file.write(b"x")
    with pytest.raises(ValueError, match="does not hold the bytes"):
        back.request.read()


@pytest.mark.parametrize("torn", [b"{", b'{"number": 3, "at"', b"\xff"])
def test_a_torn_last_line_is_ignored_and_cut_off(journal, tmp_path, torn):
    for _ in range(2):
        journal.append(exchange())
    journal.close()
    path = tmp_path / "journal.jsonl"
    with path.open("ab") as file:
        file.write(torn)
    assert len(list(read(path))) == 2
    again = Journal(tmp_path)
    assert again.last == 2
    assert again.append(exchange("next")) == 3
    assert [json.loads(line)["number"] for line in path.read_bytes().splitlines()] == [1, 2, 3]


def test_a_waiting_reader_is_woken_by_the_next_exchange(journal):
    async def talk():
        waiting = asyncio.create_task(journal.wait(0, 30))
        await asyncio.sleep(0)
        journal.append(exchange())
        return await waiting, await journal.wait(1, 0.01)

    assert asyncio.run(talk()) == (True, False)


def test_bytes_in_facts_are_written_as_the_dicom_json_model_writes_them(journal):
    journal.append(exchange(header={"00091010": b"\x01\x02"}))
    assert journal.after(0)[0].facts == {"header": {"00091010": {"InlineBinary": "AQI="}}}


@pytest.mark.parametrize("payload", [Payload(), Payload.of(b'M\xc3\xb6ller "\\\r'), Payload.of(b"\x00\xff")])
@pytest.mark.parametrize("text", ["", 'a "quoted" \\ text\x01', "Ärzte\u2028", "\ud800"])
def test_a_line_says_what_the_exchange_says(journal, tmp_path, text, payload):
    stored = Payload.in_file(tmp_path / "blob", "ab", 2)
    keys = {"patient": [text, "SW1"], "control": []}
    said = Exchange(
        0,
        1e9 / 3,
        1e-7,
        text,
        "out",
        "act",
        text,
        text,
        text,
        keys,
        {text: [None, 1.5]},
        payload,
        stored,
        text,
    )
    assert journal.append(said) == 1
    (line,) = journal.lines(0)
    wanted = json.dumps(said.to_json() | {"number": 1}, ensure_ascii=False)
    assert line == wanted.encode("utf-8", "backslashreplace")
