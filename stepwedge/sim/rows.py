"""Rows as JSON: frozen dataclasses of plain values, nested dataclasses, tuples, mappings, enums, dates and bytes."""

from __future__ import annotations

import base64
import types
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def pack(value: Any) -> Any:
    """Turn a row, or any value a row may hold, into JSON values."""
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    if (write := _WRITERS.get(kind)) is None:
        write = _WRITERS[kind] = _writer(kind)
    return write(value)


def unpack(kind: Any, value: Any) -> Any:
    """Turn what :func:`pack` made back into a ``kind``; a field that is missing takes its default."""
    return _reader(kind)(value)


_PLAIN = frozenset({str, int, float, bool})
_WRITERS: dict[type, Callable[[Any], Any]] = {}


def _writer(kind: type) -> Callable[[Any], Any]:
    if is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
        return lambda value: {name: pack(getattr(value, name)) for name in names}
    if issubclass(kind, Enum):
        return lambda value: pack(value.value)
    if issubclass(kind, dict):
        return lambda value: {key: pack(item) for key, item in value.items()}
    if issubclass(kind, list | tuple | set | frozenset):
        return lambda value: [pack(item) for item in value]
    if issubclass(kind, date):  # datetime too
        return lambda value: value.isoformat()
    if issubclass(kind, bytes):
        return lambda value: base64.b64encode(value).decode("ascii")
    if issubclass(kind, str | int | float):
        return kind.__mro__[-2]  # the plain type below a subclass
    raise TypeError(f"a row cannot hold a {kind.__name__}")


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return _union([option for option in get_args(kind) if option is not type(None)])
    if origin is not None:
        return _container(origin, get_args(kind))
    if not isinstance(kind, type):
        return lambda value: value
    if is_dataclass(kind):
        return _dataclass(kind)
    if issubclass(kind, Enum):
        return kind
    if issubclass(kind, datetime | date):
        return kind.fromisoformat
    if kind is bytes:
        return base64.b64decode
    if kind in {tuple, set, frozenset}:
        return kind
    return lambda value: value


def _dataclass(kind: type) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    return lambda value: kind(
        **{name: readers[name](item) for name, item in value.items() if name in readers}
    )


def _container(origin: Any, options: tuple[Any, ...]) -> Callable[[Any], Any]:
    if issubclass(origin, dict) or (len(options) > 1 and options[-1] is not Ellipsis and origin is not tuple):
        read = _reader(options[1])
        return lambda value: {key: read(item) for key, item in value.items()}
    if origin is tuple and options[-1] is not Ellipsis:
        reads = [_reader(option) for option in options]
        return lambda value: tuple(read(item) for read, item in zip(reads, value, strict=True))
    read_one = _reader(options[0])
    make = origin if origin in {list, tuple, set, frozenset} else list
    return lambda value: make(read_one(item) for item in value)


def _union(options: list[Any]) -> Callable[[Any], Any]:
    if len(options) != 1:
        return lambda value: value
    read = _reader(options[0])
    return lambda value: None if value is None else read(value)
