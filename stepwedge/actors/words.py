"""The words of the scenario language: what each role can be told to do.

One module ``words_<role>.py`` beside this one declares the words of one role with :func:`define`; a simulator of
your own declares its words the same way in its package. Scenarios, ``stepwedge explain``, the ``lab`` fixture and
the admin API all read this registry, so a word is described once.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a word or of a check.

    Attributes:
        kind: what it holds, for readers: ``text number flag date patient visit order entry mpps images report list``.
        choices: the only values allowed, when they are few.
    """

    name: str
    kind: str = "text"
    required: bool = False
    says: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undo:
    """How what a word did is taken back.

    Attributes:
        name: the word of the same role that does it.
        takes: its parameters, each with the key of the first word's result, or else of its arguments, that it takes.
    """

    name: str
    takes: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, given: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that take back what was done with ``given`` and gave ``result``."""
        known = {**given, **result}
        return {name: known[key] for name, key in self.takes.items()}


@dataclass(frozen=True, slots=True)
class Word:
    """Something a role can be told to do, such as ``ehr.place_order``.

    Attributes:
        does: one plain clinical sentence, imperative, without a full stop: ``order an imaging procedure``.
        gives: the keys of the result that scenarios bind with ``as``, each with what it holds.
        ihe: the transaction it performs, such as ``RAD-2``.
        requires: claims the system under test must make before the word means anything.
        also: what further argument names are accepted (``DICOM keyword``); empty means none.
        undo: how it is taken back; it is, at the end of the case at the latest.
        alone: whether it disturbs a system that other cases use, so that none may run meanwhile.
        repeat: how it may be said again when nobody knows what became of it: ``same``, it makes nothing a second time, for
            what it made keeps its identifiers; ``anew``, it changes nothing, or the standard wants new ones. Empty when it
            may not, or need not: what goes by HL7 is sent again, with the same control ID, by who keeps it.
    """

    role: str
    name: str
    does: str
    takes: tuple[Parameter, ...] = ()
    gives: Mapping[str, str] | None = None
    ihe: str = ""
    requires: tuple[str, ...] = ()
    also: str = ""
    undo: Undo | None = None
    alone: bool = False
    repeat: Literal["", "same", "anew"] = ""

    @property
    def disturbs(self) -> bool:
        """Whether other cases would feel it: it lasts until it is taken back, or it is felt at once."""
        return self.alone or self.undo is not None

    @property
    def full(self) -> str:
        """The name in full, ``role.name``."""
        return f"{self.role}.{self.name}"

    def problem(self, given: Iterable[str]) -> str:
        """Say what is wrong with the argument names ``given``; empty when nothing is."""
        names = list(given)
        known = [parameter.name for parameter in self.takes]
        if not self.also and (strange := [name for name in names if name not in known]):
            return f"{self.full} takes no {strange[0]!r}{did_you_mean(strange[0], known)}"
        missing = [p.name for p in self.takes if p.required and p.name not in names]
        return f"{self.full} needs {', '.join(missing)}" if missing else ""


WORDS: Final[dict[tuple[str, str], Word]] = {}


def define(*words: Word) -> None:
    """Add words to the registry; the same word twice is a mistake."""
    for one in words:
        key = (one.role, one.name)
        if key in WORDS and WORDS[key] != one:
            raise BadInput(one.full, "one definition of each word", "two that differ", "rename one of them")
        WORDS[key] = one


@cache
def _load() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("words_"):
            importlib.import_module(f"{__package__}.{module.name}")


def words(role: str | None = None) -> list[Word]:
    """Return all words, or those of one role, in the order they were declared."""
    _load()
    return [one for one in WORDS.values() if role in {None, one.role}]


def roles() -> list[str]:
    """Return the roles that have words."""
    return sorted({one.role for one in words()})


def word(role: str, name: str) -> Word:
    """Return one word; an unknown one is answered with the nearest known."""
    _load()
    try:
        return WORDS[role, name]
    except KeyError:
        names = [one.name for one in words(role)]
        said = (
            f"a word of {role} ({', '.join(names)})" if names else f"a role with words ({', '.join(roles())})"
        )
        raise BadInput(f"{role}.{name}", said, name, did_you_mean(name, names).strip(" ;")) from None


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known name, or nothing when none is near."""
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
