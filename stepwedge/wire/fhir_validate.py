"""Validation of resources against the definitions of FHIR R4: elements, cardinalities, formats, required bindings, targets.

Structure and required bindings only: invariants, profiles and terminology servers are left to validators made for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.fhir import ID, URN, Issue, at, reference
from stepwedge.wire.fhir_datatypes import DATATYPES
from stepwedge.wire.fhir_primitives import PRIMITIVES, complaint
from stepwedge.wire.fhir_resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.wire.fhir import Resource

MOST_ISSUES: Final = 50


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.

    Attributes:
        kinds: the types it may have; more than one for a choice (``value[x]``), ``*`` for any.
        bound: values of a required binding, or target types of a reference; empty when everything may stand there.
    """

    name: str
    kinds: tuple[str, ...]
    required: bool = False
    many: bool = False
    bound: frozenset[str] = frozenset()


@cache
def definitions() -> dict[str, dict[str, Element]]:
    """Return every type by name (``Patient``, ``Patient.contact``, ``HumanName``), each with its elements as written in JSON."""
    types: dict[str, dict[str, Element]] = {}
    for line in (DATATYPES + RESOURCES).splitlines():
        if not line.startswith(" "):
            if line:
                types[line] = {}
            continue
        name, cardinality, kind, *bound = line.split()
        low, _, high = cardinality.partition("..")
        kinds = [one.partition("(")[0] for one in kind.split("|")]
        targets = frozenset(bound[0].split("|")) if bound and bound[0] != "Resource" else frozenset()
        element = Element(name, tuple(kinds), low == "1", high == "*", targets)
        types[next(reversed(types))][name] = element
    return types


@cache
def resource_types() -> frozenset[str]:
    """Return the resource types that are known here."""
    data = {line for line in DATATYPES.splitlines() if line and not line.startswith(" ")}
    return frozenset(name for name in definitions() if "." not in name and name not in data)


_RESOURCE: Final = {
    one.name: one
    for one in (
        Element("id", ("id",)),
        Element("meta", ("Meta",)),
        Element("language", ("code",)),
        Element("text", ("Narrative",)),
        Element("contained", ("Resource",), many=True),
        Element("extension", ("Extension",), many=True),
        Element("modifierExtension", ("Extension",), many=True),
        Element("implicitRules", ("uri",)),
    )
}
_EVERYWHERE: Final = {
    "id": Element("id", ("string",)),
    "extension": Element("extension", ("Extension",), many=True),
    "modifierExtension": Element("modifierExtension", ("Extension",), many=True),
}


def problems(resource: Resource) -> list[Issue]:
    """Return what is wrong with a resource, at most ``MOST_ISSUES``."""
    found: list[Issue] = []
    for issue in _resource(resource, "", top=True):
        found.append(issue)
        if len(found) == MOST_ISSUES:
            break
    return found


def _resource(resource: Any, path: str, *, top: bool = False) -> Iterator[Issue]:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or kind not in definitions() or "." in kind:
        if isinstance(kind, str) and kind[:1].isupper() and kind.isalnum() and not top:
            return  # a type that is not known here: carried, not judged
        yield Issue("structure", "a resource of a known type is expected", path or "resourceType")
        return
    where = path or kind
    yield from _object(resource, kind, where, _RESOURCE | definitions()[kind], {"resourceType"})
    yield from _modified(resource, where)
    if "implicitRules" in resource:
        yield Issue("not-supported", "implicit rules are not followed here", f"{where}.implicitRules")
    inside = resource.get("contained")
    if isinstance(inside, list) and not top and path.endswith("]") and ".contained[" in path:
        yield Issue("structure", "contained resources contain none (dom-2)", f"{where}.contained")
    if top:
        yield from _fragments(resource, where)


def _modified(value: Any, path: str) -> Iterator[Issue]:
    """Refuse what changes the meaning of an element in a way not known here (R4 extensibility.html#modifierExtension)."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _modified(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "modifierExtension":
                yield Issue("extension", "no modifier extension is understood here", f"{path}.{key}")
            elif key != "contained":  # judged as resources of their own
                yield from _modified(item, f"{path}.{key}")


def _fragments(resource: Resource, where: str) -> Iterator[Issue]:
    """Check that ``#id`` points to a contained resource (ref-1)."""
    names = {one.get("id") for one in at(resource, "contained") if isinstance(one, dict)}
    for place, text in _references(resource, where):
        if text.startswith("#") and text[1:] and text[1:] not in names:
            yield Issue("invalid", f"nothing is contained under {text[:70]!r}", place)


def _references(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        text = value.get("reference")
        if isinstance(text, str):
            yield f"{path}.reference", text
        for key, item in value.items():
            yield from _references(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _references(item, f"{path}[{number}]")


def _object(
    value: dict[str, Any], kind: str, path: str, elements: dict[str, Element], besides: set[str]
) -> Iterator[Issue]:
    if not value:
        yield Issue("structure", "an empty object", path)
    met: dict[str, str] = {}
    for key, item in value.items():
        if key in besides:
            continue
        name = key.removeprefix("_")
        element, type_ = _named(elements, name)
        if element is None:
            yield Issue("structure", f"{kind} has no element {name[:40]!r}", f"{path}.{name[:40]}")
        elif key.startswith("_"):
            yield from _extended(item, element, f"{path}.{name}")
        else:
            if element.name in met:
                yield Issue(
                    "structure", f"{met[element.name]} and {name} exclude each other", f"{path}.{name}"
                )
            met[element.name] = name
            yield from _values(item, element, type_, f"{path}.{name}")
    for element in elements.values():
        bare = element.name.removesuffix("[x]")
        if element.required and element.name not in met and f"_{bare}" not in value:
            yield Issue("required", f"{element.name} is required in {kind}", f"{path}.{bare}")


def _named(elements: dict[str, Element], name: str) -> tuple[Element | None, str]:
    """Return the element a JSON key means, and its type."""
    if (element := elements.get(name) or _EVERYWHERE.get(name)) is not None:
        return element, element.kinds[0]
    for element in elements.values():
        if element.name.endswith("[x]") and name.startswith(bare := element.name[:-3]):
            rest = name[len(bare) :]
            for kind in _known(element):
                if rest == kind[:1].upper() + kind[1:]:
                    return element, kind
    return None, ""


def _known(element: Element) -> tuple[str, ...]:
    if element.kinds != ("*",):
        return element.kinds
    return (*PRIMITIVES, *(name for name in definitions() if "." not in name))


def _values(item: Any, element: Element, kind: str, path: str) -> Iterator[Issue]:
    if element.many != isinstance(item, list):
        yield Issue("structure", "a list is expected" if element.many else "one value is expected", path)
        return
    if not element.many:
        yield from _value(item, element, kind, path)
    elif not item:
        yield Issue("structure", "an empty list", path)
    for number, one in enumerate(item if element.many else ()):
        if one is not None or kind not in PRIMITIVES:  # null keeps the place of an extension
            yield from _value(one, element, kind, f"{path}[{number}]")


def _value(value: Any, element: Element, kind: str, path: str) -> Iterator[Issue]:
    if kind in PRIMITIVES:
        if wrong := complaint(kind, value):
            yield Issue("value", wrong, path)
        elif element.bound and value not in element.bound:
            yield Issue("code-invalid", f"{value!r} is none of {', '.join(sorted(element.bound))}", path)
    elif kind == "Resource":
        yield from _resource(value, path)
    elif not isinstance(value, dict):
        yield Issue("structure", f"an object ({kind}) is expected", path)
    elif kind == "Extension":
        yield from _extension(value, path)
    else:
        yield from _object(value, kind, path, definitions()[kind], set())
        if kind == "Reference":
            yield from _target(value, element, path)


def _target(value: dict[str, Any], element: Element, path: str) -> Iterator[Issue]:
    text = value.get("reference")
    if text is None or not isinstance(text, str):
        return
    found = reference(text)
    if found is None:
        if not (text.startswith("#") and (text == "#" or ID.fullmatch(text[1:]))) and not URN.fullmatch(text):
            yield Issue("value", f"{text[:80]!r} is no reference to a resource", f"{path}.reference")
    elif element.bound and found.kind not in element.bound:
        allowed = ", ".join(sorted(element.bound))
        yield Issue("value", f"{found.kind} cannot stand here, only {allowed}", f"{path}.reference")


def _extended(item: Any, element: Element, path: str) -> Iterator[Issue]:
    """Check ``_name``: id and extensions of a primitive."""
    several = item if element.many and isinstance(item, list) else [item]
    for one in several:
        if isinstance(one, dict):
            yield from _object(one, "Element", path, {}, set())
        elif one is not None or not element.many:
            yield Issue("structure", "extensions of a primitive are an object", path)


def _extension(value: dict[str, Any], path: str) -> Iterator[Issue]:
    if complaint("uri", value.get("url")):
        yield Issue("required", "an extension needs a url", f"{path}.url")
    values = [key for key in value if key.startswith("value")]
    nested = value.get("extension")
    if len(values) + (1 if nested else 0) != 1:
        yield Issue("structure", "an extension has one value or extensions (ext-1)", path)
    for key in values:
        kind = next((one for one in _known(_ANY) if key == f"value{one[:1].upper()}{one[1:]}"), "")
        if not kind:
            yield Issue("structure", f"no type has the name {key[5:45]!r}", f"{path}.{key[:45]}")
        else:
            yield from _value(value[key], _ANY, kind, f"{path}.{key}")
    for number, inner in enumerate(nested if isinstance(nested, list) else ()):
        yield from _value(inner, _ANY, "Extension", f"{path}.extension[{number}]")


_ANY: Final = Element("value[x]", ("*",))
