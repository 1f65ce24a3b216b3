"""A page of text as PDF 1.4 (ISO 32000-1): enough for a report that any viewer opens, and nothing more."""

from __future__ import annotations

from typing import Final

_SIZE: Final = (595, 842)
"""A4 in points."""
_LINES: Final = 60
_LEADING: Final = 12


def pdf(lines: list[str]) -> bytes:
    """Return a document of A4 pages with these lines in Helvetica; a sign that WinAnsi lacks becomes a question mark."""
    pages = [lines[at : at + _LINES] for at in range(0, len(lines), _LINES)] or [[]]
    first = 4  # 1 catalogue, 2 page tree, 3 font
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        content = b"\n".join([b"BT /F1 10 Tf 50 790 Td", *(_shown(line) for line in page), b"ET"])
        objects += [
            (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_SIZE[0]} {_SIZE[1]}] "
                f"/Resources << /Font << /F1 3 0 R >> >> /Contents {first + 2 * number + 1} 0 R >>"
            ).encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    return _file(objects)


def _shown(line: str) -> bytes:
    written = line.encode("cp1252", "replace")
    for sign in (b"\\", b"(", b")"):
        written = written.replace(sign, b"\\" + sign)
    return b"(%s) Tj 0 -%d Td" % (written, _LEADING)


def _file(objects: list[bytes]) -> bytes:
    """Return the file: header, objects, cross-reference table, trailer (ISO 32000-1 section 7.5)."""
    made = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(made)
