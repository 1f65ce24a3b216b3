"""What whoever looks after accounts can be told to do."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Word, define

_USER = (Parameter("user", required=True, says="name of the person, or what enroll gave"),)
_REVOKED = {"user": "name of the person", "revoked": "how many grants were revoked"}

define(
    Word(
        "idp",
        "enroll",
        "make an account with password and one-time password for a person nobody else uses",
        (
            Parameter(
                "role",
                says="role of the person",
                default="radiologist",
                choices=("radiologist", "technologist", "referrer", "administrator"),
            ),
        ),
        {"user": "name of the person", "role": "role"},
    ),
    Word("idp", "lock", "lock an account and everything the person holds", _USER, _REVOKED),
    Word("idp", "unlock", "unlock an account", _USER, {"user": "name of the person"}),
    Word("idp", "revoke", "sign a person out everywhere", _USER, _REVOKED),
    Word(
        "idp",
        "rotate_keys",
        "sign tokens with new keys from now on",
        gives={"keys": "names of the new keys", "published": "how many keys are published now"},
    ),
    Word(
        "idp",
        "launch",
        "launch an app in the context of a patient (SMART App Launch)",
        (
            Parameter("patient", "patient", required=True, says="the patient"),
            Parameter("encounter", says="the stay from whose page it is launched: id of the Encounter"),
            Parameter("intent", says="what the app is launched for, such as review-images"),
        ),
        {
            "launch": "handle of the launch",
            "patient": "patient ID",
            "encounter": "the stay; absent when none was given",
            "intent": "what for; absent when it was not given",
        },
    ),
)
