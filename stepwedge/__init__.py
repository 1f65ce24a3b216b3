"""Stepwedge: plays every system around a RIS and a PACS and judges the real ones on the wire."""

__version__ = "0.1.0"
