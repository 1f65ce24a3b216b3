import re
from html.parser import HTMLParser

from stepwedge.report import html, run_model

VOID = {"meta", "br", "rect", "line", "path", "circle"}


class Page(HTMLParser):
    """Collects what leaves the page, and complains about what is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids = [], [], set()

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "action", "data", "poster"}:
                self.links.append(value)
            if name == "id":
                assert value not in self.ids, f"two elements are called {value}"
                self.ids.add(value)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def page(sample_run, tmp_path, **how):
    text = html.render(run_model.read(sample_run.write(tmp_path, **how)))
    parsed = Page()
    parsed.feed(text)
    assert parsed.open == []
    return text, parsed


def test_nothing_leaves_the_page(tmp_path, sample_run):
    text, parsed = page(
        sample_run, tmp_path, verdicts=("passed", "failed", "inconclusive", "broken", "skipped", None)
    )
    assert all(link.startswith("#") for link in parsed.links)
    assert {link[1:] for link in parsed.links} <= parsed.ids
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text.replace("http://127.0.0.1", ""))
    assert "default-src 'none'" in text


def test_what_was_received_is_shown_and_not_run(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path)
    assert "Order cancelled &lt;after&gt; the worklist" in text
    assert "<after>" not in text


def test_a_person_reads_what_happened(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path)
    for said in (
        "The system under test broke a rule",
        "EHR tells RIS that the patient is here",
        "EHR orders the examination from RIS",
        "CT tells RIS that scanning has begun",
        "CT sends 3 images to PACS",
        "Checks ask PACS what it holds: 2 questions",
        "no answer came in time",
        "one of CA, OC, DC",
        "the archive does not claim c-get",
        "proven: a marker sent behind it arrived",
        "stepwedge run cancel-after-worklist --seed 4171",
        "not exercised",
        "MÜLLER^ANNA",
        "Signatures",
    ):
        assert said in text, said


def test_hl7_is_shown_line_by_line(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path)
    assert "\r" not in text
    assert re.search(r"\|P\|2\.5\.1\nPID\|1\|", text)


def test_the_worst_case_comes_first(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path)
    assert text.index("the worklist 1") < text.index("the worklist 0")


def test_an_aborted_run_says_so(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path, verdicts=("passed", None), ended=False)
    assert "The run was aborted" in text
    assert "not run: the run ended before this case did" in text


def test_an_empty_run_has_a_page(tmp_path, sample_run):
    text, _ = page(sample_run, tmp_path, verdicts=())
    assert "No case was run" in text
