"""Invented persons."""

import pytest

from stepwedge.errors import BadInput
from stepwedge.model.people import person

LOCALES = ["en_US", "de_DE", "fr_FR", "es_ES"]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_same_seed_gives_the_same_person(locale):
    first = person(7, "case", 1, locale=locale)
    person(8, "another", locale=locale)
    assert person(7, "case", 1, locale=locale) == first
    assert len({person(7, "case", number, locale=locale) for number in range(20)}) > 15


@pytest.mark.parametrize("locale", LOCALES)
def test_persons_are_plausible(locale):
    for number in range(30):
        name, birth_date, sex = person(1, number, locale=locale)
        assert name.family
        assert name.given
        assert len(name.dicom()) <= 64
        assert "19310101" <= birth_date < "20160101"
        assert sex in {"F", "M"}


@pytest.mark.parametrize("locale", LOCALES[1:])
def test_accented_names_that_fit_latin_1(locale):
    for number in range(20):
        name, _, _ = person(1, number, locale=locale, fits="iso8859-1", accented=True)
        assert not name.dicom().isascii()
        name.dicom().encode("iso8859-1")


def test_a_locale_that_cannot():
    with pytest.raises(BadInput, match="fits iso8859-1"):
        person(1, locale="ja_JP", fits="iso8859-1")
    with pytest.raises(BadInput, match="Faker knows"):
        person(1, locale="xx_XX")
