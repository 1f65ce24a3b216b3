"""What the keeper of the patient index can be told to do, and what a consumer of it can ask (ITI-9, ITI-21)."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define

_PAIR: Final = (
    Parameter("patient", "patient", required=True, says="one record"),
    Parameter("other", "patient", required=True, says="the other record"),
)
_TOGETHER: Final = {"identifiers": "identifiers of the first record's person from now on, as ID^^^DOMAIN"}

define(
    Word("mpi", "link", "decide that two records are one person", _PAIR, _TOGETHER, ihe="ITI-30"),
    Word("mpi", "unlink", "decide that two records are two persons", _PAIR, _TOGETHER, ihe="ITI-30"),
    Word(
        "ehr",
        "find_patient",
        "look for a patient in the patient index",
        (
            Parameter("family", says="family name; * stands for anything"),
            Parameter("given", says="given name; * stands for anything"),
            Parameter("birth_date", "date", says="YYYYMMDD"),
            Parameter("sex", choices=("F", "M", "O")),
            Parameter("id", says="an identifier, whoever assigned it"),
            Parameter(
                "most", "number", says="patients in one answer; the rest is asked for as well", default=0
            ),
        ),
        {
            "patients": "one {name, birth_date, sex, identifiers} for each",
            "count": "how many",
            "answers": "how many messages it took",
        },
        ihe="ITI-21",
    ),
    Word(
        "ehr",
        "cross_reference",
        "ask under which other identifiers a patient is known",
        (
            Parameter("patient", "patient", required=True),
            Parameter("domains", "list", says="assigning authorities; all when left out"),
        ),
        {
            "identifiers": "the other identifiers, as ID^^^DOMAIN",
            "count": "how many",
            "status": "OK, NF or AE (QAK-2)",
        },
        ihe="ITI-9",
    ),
)
