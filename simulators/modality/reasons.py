"""Why an exam was broken off: CID 9300, Procedure Discontinuation Reasons (PS3.16)."""

from __future__ import annotations

from typing import Final

from stepwedge.errors import BadInput

REASONS: Final = {
    "110500": "Doctor canceled procedure",
    "110501": "Equipment failure",
    "110502": "Incorrect procedure ordered",
    "110503": "Patient allergic to media/contrast",
    "110504": "Patient died",
    "110505": "Patient refused to continue procedure",
    "110506": "Patient taken for treatment or surgery",
    "110507": "Patient did not arrive",
    "110508": "Patient pregnant",
    "110509": "Change of procedure for correct charging",
    "110510": "Duplicate order",
    "110511": "Nursing unit cancel",
    "110512": "Incorrect side ordered",
    "110513": "Discontinued for unspecified reason",
    "110514": "Incorrect worklist entry selected",
    "110515": "Patient condition prevented continuing",
    "110516": "Equipment change",
    "110521": "Objects incorrectly formatted",
    "110522": "Object Types not supported",
    "110523": "Object Set incomplete",
    "110524": "Media Failure",
    "110526": "Resource pre-empted",
    "110527": "Resource inadequate",
    "110528": "Discontinued Procedure Step rescheduled",
    "110529": "Discontinued Procedure Step rescheduling recommended",
    "110530": "Workitem assignment rejected by assigned resource",
    "110533": "Workitem expired",
    "113568": "Extravasation visible in image",
}
"""The codes of coding scheme DCM."""

ADVERSE: Final = {
    "4386001": "Bronchospasm",
    "16932000": "Nausea and vomiting",
    "24389009": "Injection site granuloma",
    "25064002": "Headache",
    "26079004": "Shaking",
    "28926001": "Drug Rash",
    "38341003": "Hypertension",
    "45007003": "Hypotension",
    "48694002": "Anxiety",
    "49727002": "Cough",
    "51599000": "Laryngeal edema",
    "68235000": "Nasal Congestion",
    "74615001": "Tachycardia-bradycardia",
    "84757009": "Epileptic convulsions",
    "95376002": "Injection site disorder",
    "95378001": "Injection site hypersensitivity",
    "95379009": "Injection site irritation",
    "95380007": "Injection site pigmentation change",
    "95381006": "Injection site infection",
    "95382004": "Injection site abscess",
    "95383009": "Injection site sterile abscess",
    "95384003": "Injection Site Extravasation",
    "95385002": "Injection site hemorrhage",
    "95386001": "Injection site thrombosis",
    "95387005": "Injection site malabsorption",
    "95388000": "Injection site pain",
    "95389008": "Injection site burning",
    "95390004": "Injection site nerve damage",
    "95391000": "Injection site inflammation",
    "95392007": "Injection site edema",
    "95393002": "Injection site dermatitis",
    "95394008": "Injection site urticaria",
    "95395009": "Injection site mass",
    "95396005": "Injection site cyst",
    "95397001": "Injection site necrosis",
    "95398006": "Injection site anesthesia",
    "95399003": "Injection site paresthesia",
    "95400005": "Injection site ulcer",
    "95401009": "Injection site bruising",
    "95402002": "Injection site induration",
    "95403007": "Injection site fibrosis",
    "95404001": "Injection site atrophy",
    "111017005": "Injection site scar",
    "234171009": "Drug-induced hypotension",
    "267036007": "Dyspnea",
    "271801002": "Taste sense altered",
    "274640006": "Chills and fever",
    "278528006": "Facial Swelling",
    "292094009": "Radiopharmaceutical Adverse Reaction",
    "298336006": "No motor response to command",
    "398979000": "Pallor (Pale Complexion)",
    "402603005": "Diffuse inflammatory erythema",
    "403618004": "Drug induced Flushing",
    "410430005": "Cardiorespiratory arrest",
    "415690000": "Sweating",
    "418363000": "Itching",
    "473188002": "Drug Induced Dizziness",
    "698247007": "Cardiac Arrhythmia",
    "724232004": "Sensation of being warm (finding)",
}
"""The codes of coding scheme SCT: what happened to the patient."""

WRONG_ENTRY: Final = f"110514^{REASONS['110514']}^DCM"


def reason_of(given: str) -> str:
    """Return ``code^meaning^scheme`` for a reason given so or by its code alone; a code of another scheme passes as it is."""
    code, meaning, scheme = [*given.split("^"), "", ""][:3]
    for name, known in (("DCM", REASONS), ("SCT", ADVERSE)):
        if scheme in {"", name} and code in known:
            return f"{code}^{meaning or known[code]}^{name}"
    if scheme not in {"", "DCM"}:
        return f"{code}^{meaning}^{scheme}"
    raise BadInput("discontinue_exam: reason", "a code of CID 9300 (PS3.16)", repr(given))
