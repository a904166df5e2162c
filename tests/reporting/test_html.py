import re
from html.parser import HTMLParser

import pytest

from semtel_dagster.estimation.change import Change
from semtel_dagster.reporting.html import render_html
from semtel_dagster.reporting.report import Statistics, build_report
from semtel_dagster.settings import EndpointSettings, ReportSettings, Settings
from tests.reporting.synthetic import PROMPTS, SECRET, Synthetic, prompt, task

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&\'"'


class WellFormed(HTMLParser):
    """Fails on a tag closed out of order; collects what the browser would load and run."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.loads, self.handlers, self.tags = [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        names = dict(attributes)
        self.loads += [value for name, value in names.items() if name in {"src", "href", "srcset", "data", "action"}]
        self.handlers += [name for name in names if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    parser = WellFormed()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def page(stored, statistics):
    settings = Settings(storage=stored.storage)
    return render_html(build_report(stored.storage, stored.weeks[-1], PROMPTS, settings, statistics))


def test_the_page_is_well_formed_and_loads_nothing(page):
    parser = parsed(page)
    assert all(link.startswith("#") for link in parser.loads)
    assert parser.handlers == []
    assert not {"link", "iframe", "object", "embed", "img"} & parser.tags
    assert not re.search(r"@import|url\(", page.split("<script")[0])


def test_links_lead_to_sections_of_the_page(page):
    targets = {link[1:] for link in parsed(page).loads}
    assert targets
    assert all(f'id="{target}"' in page for target in targets)


def test_the_page_is_small_enough_to_mail(page):
    assert len(page.encode()) < 2_000_000


def test_each_chart_has_a_specification_and_a_picture_for_readers_without_scripts(page):
    charts = re.findall(r'data-chart="([^"]+)"', page)
    assert len(charts) == 2 * 4 + 1
    assert all(f'id="{chart}"' in page for chart in charts)
    assert page.count("<noscript><svg") == len(charts)


def test_no_conversation_text_reaches_the_page(page):
    assert SECRET not in page
    assert "Zwetschgen" not in page


def test_labels_of_the_embedded_model_are_called_so_at_the_top(page):
    top = page.split("What changed</h2>")[0]
    assert "small embedded model" in top
    assert "wordllama-256" in top
    assert "has not been measured" in top


def test_labels_of_a_server_are_not_called_embedded(tmp_path, statistics):
    weeks = Synthetic(weeks=1, conversations=60, endpoint="east").write(tmp_path)
    east = EndpointSettings(name="east", base_url="http://127.0.0.1:1/v1", model="m")
    settings = Settings(storage=str(tmp_path), endpoints=(east,))
    page = render_html(build_report(str(tmp_path), weeks[0], PROMPTS, settings, statistics))
    assert "small embedded model" not in page
    assert "There is no week before" in page


def test_small_cells_of_cross_tables_are_told_as_such(page):
    cross = page.split('id="cross"')[1].split("</section>")[0]
    assert "&lt;15</td>" in cross
    shown = [int(n.replace(",", "")) for n in re.findall(r"<small>([\d,]+)</small></td>", cross)]
    assert shown
    assert min(shown) >= 15


def test_hostile_names_are_text(tmp_path, statistics):
    prompts = {"bad": prompt("bad", task(HOSTILE, [HOSTILE, "b"]), task("scale", ["low", HOSTILE], ordinal=True))}
    weeks = Synthetic(weeks=2, conversations=80, prompts=prompts).write(tmp_path)
    settings = Settings(storage=str(tmp_path), report=ReportSettings(title=HOSTILE))
    page = render_html(build_report(str(tmp_path), weeks[-1], prompts, settings, statistics))
    parser = parsed(page)
    assert parser.handlers == []
    assert "img" not in parser.tags
    assert '<script>alert("x")' not in page


def test_a_week_without_any_table_is_a_page_that_says_so(tmp_path, statistics):
    settings = Settings(storage=str(tmp_path))
    week = Synthetic(weeks=0).write(tmp_path) or None
    assert week is None
    page = render_html(build_report(str(tmp_path), settings.first_week, PROMPTS, settings, statistics))
    assert "No shares are stored yet for: expertise, satisfaction, topic" in page
    parsed(page)


def test_changes_that_stand_out_are_told_first(stored, statistics):
    def all_stand_out(now, before):
        return {key: Change(0.101, 0.05, 0.15, 0.001, significant=True) for key in now if key in before}

    settings = Settings(storage=stored.storage)
    loud = Statistics(all_stand_out, statistics.hide)
    page = render_html(build_report(stored.storage, stored.weeks[-1], PROMPTS, settings, loud))
    section = page.split('id="changes"')[1].split("</section>")[0]
    assert "▲ +10.1 points" in section
    assert "(+5.0 to +15.0)" in section
