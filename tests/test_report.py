"""The report: complete in itself, true to the records, and deaf to whatever the records say."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis._report_charts import layers, ticks
from habilis.core import (
    Attempt,
    Budget,
    Cost,
    Episode,
    Evidence,
    EvidenceLevel,
    Goal,
    HabilisError,
    Parameter,
    Program,
    Skill,
    Task,
    ToolCall,
    Trajectory,
    Trial,
)
from habilis.report import ReportData, Use, write_report

EVIL = "</script></pre><img src=x onerror=alert(1)>\"'><script>alert(2)</script><!-- {{title}} ]]>"
TAGS = re.findall(
    r"\w+",
    """html head meta title style noscript body main header footer section p h1 h2 h3 h4 em div b span small figure svg
    g line path text rect a code article table thead tbody tr th td pre i ul li label select option button script br
    details summary""",
)


def skill(name: str, *calls: str, text: str = "", status: str = "active", version: int = 1, good: int = 7) -> Skill:
    body = "".join(f"    skills.{c}(1)\n" for c in calls) or "    world.collect('oak_log')\n"
    trials = tuple(Trial(i, {"n": i + 1}, i < good, 10 + i, "" if i < good else "too slow" + text) for i in range(8))
    return Skill(
        name=name,
        version=version,
        program=Program(
            name, f"def {name}(n: int = 1) -> None:\n{body}", (Parameter("n", "int", 1, False),), calls, "search" + text
        ),
        doc=f"Gets {name}." + text,
        goal_template='count("' + name + '") >= {n}',
        world="craft",
        fingerprint="f00d",
        evidence=Evidence(EvidenceLevel.VERIFIED, trials, good, 8 - good),
        needs=('near("table")' + text,),
        status=status,
    )


def episode(index: int, status: str = "solved", kept: str | None = None, reason: str = "", steps: int = 10) -> Episode:
    task = Task(Goal.of('count("stick") >= 4'), "craft", index, f"have stick number {index}")
    tape = (ToolCall("recipe_book", {"item": "stick"}, []),) if index == 0 else ()
    attempt = Attempt(Program("p", "def p(): pass"), Trajectory(tape=tape), status == "solved", "line 2: no planks")
    return Episode(index, task, status, (attempt,), Cost(world_steps=steps), kept, reason, "search")


DATA = ReportData(
    run={"name": "run 7", "world": "craft", "writer": "search", "seed": 1234, "status": "finished", "api_key": "sk-1"},
    episodes=(
        episode(0, kept="get_log"),
        episode(1, kept="get_plank", steps=25),
        episode(2, "failed", reason="no plan was found", steps=5),
        episode(3, "failed"),
        episode(4, kept="get_table", steps=40),
        episode(5, kept="get_log", reason="a better version"),
    ),
    skills=(
        skill("get_log", status="superseded"),
        skill("get_log", version=2),
        skill("get_plank", "get_log"),
        skill("get_table", "get_plank", "get_log", good=8),
        skill("look_around"),
        skill("old_idea", status="retired"),
    ),
    spent=Cost(usd=0.5, world_steps=100, seconds=90),
    limit=Budget(usd=2.0, world_steps=400),
    distillations=(
        {
            "model": "small+1",
            "adopted": False,
            "iteration": 3,
            "reasons": ["success fell from 0.41 to 0.40"],
            "figures": {"success": {"before": 0.41, "after": 0.40}, "examples": 312},
        },
    ),
    uses=(Use("recipe_book", "tool", 4, 3, Cost(usd=0.5, calls=4)),),
)


class _Page(HTMLParser):
    """Tags, attributes and texts of a page; the scripts and the styles apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("th", "td", "p", "li", "div", "h3", "h4", "small", "span"):
            self.text += " "
        if tag in ("script", "style"):
            self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.text += data

    def all(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and (not kind or kind in (a.get("class") or "").split())]


def render(data: ReportData, folder: Path) -> str:
    return write_report(data, folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(DATA, tmp_path_factory.mktemp("report"))


def words(text: str) -> str:
    return " ".join(_Page(text).text.split())


def test_it_is_written_where_asked_and_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "r.html"
    assert write_report(ReportData(run={}), target) == target
    first = target.read_text("utf-8")
    write_report(DATA, str(target))
    assert target.read_text("utf-8") != first
    assert [p.name for p in target.parent.iterdir()] == ["r.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HabilisError, match=r"cannot write the report to .*r\.html.*name another place"):
        write_report(DATA, tmp_path / "file" / "r.html")


def test_the_same_records_give_the_same_page(page: str, tmp_path: Path) -> None:
    assert render(DATA, tmp_path) == page


def test_it_asks_the_network_for_nothing(page: str) -> None:
    parsed = _Page(page)
    for _, attributes in parsed.tags:
        assert not {"src", "srcset", "action", "data", "poster"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(", page)


def test_its_policy_allows_its_own_script_and_no_other(page: str) -> None:
    parsed = _Page(page)
    (policy,) = [a["content"] for a in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    (script,) = parsed.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy


def test_nothing_that_others_wrote_becomes_markup(page: str, tmp_path: Path) -> None:
    evil = skill("get_log", text=EVIL)
    evil = replace(
        evil,
        name=EVIL,
        goal_template=EVIL,
        sources=(EVIL,),
        tools=(EVIL,),
        program=replace(
            evil.program,
            source=f"def f():\n    {EVIL!r}\n    # {EVIL}\n{EVIL}",
            calls=(EVIL, "plain"),
            parameters=(Parameter(EVIL, EVIL, EVIL, False),),
        ),
    )
    plain = skill("plain", EVIL)
    bad = replace(
        episode(0, EVIL, kept=EVIL, reason=EVIL),
        task=Task(Goal(judged=EVIL), "craft", 0, EVIL),
        writer=EVIL,
        attempts=(Attempt(evil.program, Trajectory(tape=(ToolCall(EVIL, {}, EVIL),)), False, EVIL),),
    )
    data = ReportData(
        run={
            "name": EVIL,
            "world": EVIL,
            "writer": EVIL,
            "seed": EVIL,
            "status": EVIL,
            EVIL: EVIL,
            "n": {EVIL: [EVIL]},
        },
        episodes=(bad, replace(bad, status="failed", reason="", skill=None)),
        skills=(evil, plain),
        distillations=(
            {"model": EVIL, "reasons": [EVIL], "figures": {EVIL: {"before": EVIL, "after": EVIL}, "x": EVIL}},
        ),
        uses=(Use(EVIL, EVIL, 1, 1),),
    )
    text = render(data, tmp_path)
    parsed = _Page(text)
    assert parsed.scripts == _Page(page).scripts
    assert {tag for tag, _ in parsed.tags} <= set(TAGS)
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert parsed.text.count("<script>alert(2)</script>") > 15
    assert "{{title}}" in parsed.text
    assert "<img" not in text


def test_control_and_direction_characters_do_not_get_in(tmp_path: Path) -> None:
    tricky = skill("get_log", text="a\x00b\x1b[31mc\u202ed\ud800e")
    tricky = replace(tricky, program=replace(tricky.program, source="x = '\u202e\x00'\n"))
    text = render(ReportData(run={}, skills=(tricky,)), tmp_path)
    assert not set(text) & set("\x00\x1b\u202e\ud800")
    assert "x = '��'" in _Page(text).text


def test_the_headline_counts_what_is_active(page: str) -> None:
    top = page.split('class="headline">')[1].split("</header>")[0]
    figures = re.findall(r"<div><b>(.*?)</b><span>(.*?)</span><small>(.*?)</small></div>", top)
    assert figures == [
        ("4", "tasks solved", "of 6 tried"),
        ("4", "skills kept", "all verified"),
        ("50%", "call another skill", "3 levels deep"),
        ("100", "world steps", "90 s"),
        ("$0.50", "spent", "0 tokens"),
    ]


def _svgs(text: str, kind: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(s) for s in re.findall(rf'<svg class="{kind}".*?</svg>', text, flags=re.DOTALL)]


def test_the_curves_follow_the_episodes(page: str) -> None:
    by_count, by_steps = (json.loads(svg.attrib["data-points"]) for svg in _svgs(page, "growth"))
    assert [p[1:4] for p in by_count] == [[1, 1, 1], [2, 2, 2], [3, 2, 2], [4, 2, 2], [5, 3, 3], [6, 4, 3]]
    assert [p[1] for p in by_steps] == [10, 35, 40, 50, 90, 100]
    assert [p[4] for p in by_count] == [f"have stick number {i}" for i in range(6)]


def test_the_lines_end_where_the_labels_say(page: str) -> None:
    for svg in _svgs(page, "growth"):
        assert [t.text for t in svg if t.get("class", "").startswith("end")] == ["4 solved", "3 skills"]
        heights = {}
        for path in (p for p in svg if p.get("class", "").startswith("line")):
            heights[path.attrib["class"]] = float(re.findall(r"V([\d.]+)", path.attrib["d"])[-1])
        assert heights["line solved"] < heights["line skills"]
        assert len([g for g in svg if g.get("class") == "mark"]) == 1


@given(st.floats(0.01, 1e9))
def test_ticks_are_round_even_and_reach_the_top(top: float) -> None:
    found = ticks(top)
    assert found[0] == 0
    assert found[-1] >= top * (1 - 1e-6)
    assert 2 <= len(found) <= 7
    step = found[1]
    assert f"{step:.0e}"[0] in "125"
    assert found[-2] < top * (1 + 1e-6)


def test_the_graph_has_an_edge_for_each_call_and_callers_to_the_right(page: str) -> None:
    (svg,) = _svgs(page, "calls")
    names = dict(re.findall(r'<option value="(skill-\d+)"[^>]*>(\w+)', page))
    edges = {(names[e.attrib["data-from"]], names[e.attrib["data-to"]]) for e in svg if e.get("class") == "edge"}
    assert edges == {("get_plank", "get_log"), ("get_table", "get_plank"), ("get_table", "get_log")}
    across = {
        names[n.attrib["data-skill"]]: float(re.findall(r"[\d.]+", n.attrib["transform"])[0])
        for n in svg
        if n.get("class") == "node"
    }
    assert all(across[caller] > across[callee] for caller, callee in edges)
    assert "1 stand alone: look_around" in words(page)


graphs = st.dictionaries(st.integers(0, 12).map(str), st.lists(st.integers(0, 12).map(str), max_size=4), max_size=13)


@given(graphs)
def test_any_graph_is_drawn_cycles_too(calls: dict[str, list[str]]) -> None:
    found = layers(calls)
    assert set(found) == set(calls)
    downhill = {n: [c for c in cs if int(c) < int(n)] for n, cs in calls.items()}
    level = layers(downhill)
    assert all(level[n] > level[c] for n, cs in downhill.items() for c in cs if c in level)
    assert all(level[n] == 0 or any(level[c] == level[n] - 1 for c in downhill[n] if c in level) for n in downhill)


def test_a_very_deep_library_is_drawn(tmp_path: Path) -> None:
    chain = [skill("s0"), *(skill(f"s{i}", f"s{i - 1}") for i in range(1, 1100))]
    assert "<small>1100 levels deep</small>" in render(ReportData(run={}, skills=chain), tmp_path)


def test_the_skill_that_calls_most_is_shown_first_and_any_can_be_picked(page: str) -> None:
    articles = {a["id"]: a for a in _Page(page).all("article")}
    names = dict(re.findall(r'<option value="(skill-\d+)"[^>]*>(\w+)', page))
    assert [names[str(i)] for i, a in articles.items() if "hidden" not in a] == ["get_table"]
    assert sorted(names.values()) == ["get_log", "get_plank", "get_table", "look_around"]
    assert set(names) == set(articles)
    assert re.search(r'<option value="skill-\d+" selected>get_table · calls 2', page)


def _article(text: str, name: str) -> str:
    articles: list[str] = re.findall(r"<article.*?</article>", text, re.DOTALL)
    return next(a for a in articles if f"<h3><code>{name}</code>" in a)


def test_a_skill_is_shown_with_contract_program_and_evidence(page: str) -> None:
    article = _article(page, "get_plank")
    told = words(article)
    for part in (
        'Makes true count("get_plank") >= {n}',
        'Needs near("table")',
        "Parameters n: int = 1",
        "Calls get_log",
        "Called by get_table",
        "First kept task 2: have stick number 1",
        "7 of 8 runs made the goal true; expected success 80%",
        "too slow",
    ):
        assert part in told
    assert _Page(article).text.count("failed") == 1


def test_a_call_in_the_program_leads_to_the_skill(page: str) -> None:
    (target,) = re.findall(r'<option value="(skill-\d+)"[^>]*>get_log', page)
    assert f'skills.<a href="#{target}" data-skill="{target}">get_log</a>(1)' in _article(page, "get_plank")


def test_the_newest_active_version_is_shown(page: str) -> None:
    assert "version 2" in _article(page, "get_log")
    assert "old_idea" not in page


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=80),
        st.text("\n\t (){}[]'\"#\\:\ndef", max_size=60),
    )
)
def test_a_program_is_shown_as_it_stands(tmp_path_factory: pytest.TempPathFactory, source: str) -> None:
    source = "".join(c for c in source if c.isprintable() or c in "\n\t")
    one = skill("get_log")
    one = replace(one, program=replace(one.program, source=source))
    text = render(ReportData(run={}, skills=(one,)), tmp_path_factory.mktemp("code"))
    (shown,) = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert html.unescape(re.sub(r"<[^>]*>", "", shown)) == source


def test_every_episode_is_listed_with_why_it_failed(page: str) -> None:
    parsed = _Page(page)
    assert [a["data-status"] for a in parsed.all("tr") if "data-status" in a] == [e.status for e in DATA.episodes]
    told = words(page)
    assert "no plan was found" in told
    assert "line 2: no planks" in told  # the last attempt's feedback, where the episode gives no reason
    assert "1 line 2: no planks" in told.split("Why tasks were not solved")[1][:80]


def test_costs_stand_beside_their_limits(page: str) -> None:
    table = page.split("<table class='costs'>")[1].split("</table>")[0]
    assert re.findall(r"<th>(.*?)</th><td class='n'>(.*?)</td><td class='muted'>(.*?)</td>", table) == [
        ("Money", "$0.50", "of $2.00"),
        ("Time", "90 s", "no limit"),
        ("World steps", "100", "of 400"),
    ]
    assert re.findall(r"width:([\d.]+%)", table) == ["25.0%", "25.0%"]


def test_a_rejected_model_is_shown_as_a_correct_result(page: str) -> None:
    part = page.split("<div class='distil'>")[1].split("</section>")[0]
    told = words(part)
    assert "rejected by the gate" in told
    assert "That is a correct result" in told
    assert "success fell from 0.41 to 0.40" in told
    assert re.search(r"<th>success</th><td class='n'>0.41</td><td class='n'>0.4</td>", part)
    assert "badge bad" not in part
    assert "badge good" not in part


def test_an_adopted_model_is_shown_as_adopted(tmp_path: Path) -> None:
    data = replace(DATA, distillations=({"model": "m", "adopted": True, "figures": {"loss": float("nan")}},))
    text = render(data, tmp_path)
    assert '<span class="badge good">adopted</span>' in text
    assert "That is a correct result" not in text
    assert ">nan<" in text


def test_the_figures_of_both_models_stand_side_by_side(tmp_path: Path) -> None:
    base = {"success": 0.4, "asked": 50, "perplexity": 21.5, "families": {"plan": {"right": 20, "asked": 50}}}
    tuned = {"success": 0.5, "asked": 50, "perplexity": 21.25, "families": {"plan": {"right": 25, "asked": 50}}}
    figures = {
        "base": base,
        "tuned": tuned,
        "drift": -0.01,
        "plans": [{"goal": "g", "plan": "p"}],
        "betas": [0.9, 0.99],
    }
    text = render(replace(DATA, distillations=({"model": "m", "adopted": True, "figures": figures},)), tmp_path)
    rows = re.findall(r"<tr><th>([\w ]+)</th><td class='n'>([^<]*)</td><td class='n'>([^<]*)</td></tr>", text)
    assert rows == [("success", "0.4", "0.5"), ("perplexity", "21.5", "21.2"), ("plan", "20 of 50", "25 of 50")]
    told = words(text)
    assert "drift -0.01" in told
    assert "plans 1 entries" in told
    assert "betas 0.9, 0.99" in told


def test_uses_show_what_was_paid(page: str, tmp_path: Path) -> None:
    assert re.search(
        r"recipe_book</code></td><td>tool</td><td class='n'>4</td><td class='n'>75%</td><td class='n'>\$0.50", page
    )
    taped = render(replace(DATA, uses=()), tmp_path)
    assert re.search(
        r"recipe_book</code></td><td>tool</td><td class='n'>1</td><td class='n'>100%</td><td class='n'>not recorded",
        taped,
    )


def test_settings_are_listed_but_secrets_are_not(page: str) -> None:
    assert "sk-1" not in page
    assert "not shown" in page
    assert "<tr><th>seed</th><td>1234</td></tr>" in page


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    told = words(render(ReportData(run={}), tmp_path))
    for part in ("No task was tried yet", "No skill calls another yet", "No skill was kept yet", "Nothing was spent"):
        assert part in told


def test_a_thousand_tasks_are_no_burden(tmp_path: Path) -> None:
    episodes = [episode(i, "solved" if i % 3 else "failed", f"s{i % 200}") for i in range(1000)]
    skills = [skill(f"s{i}", *(f"s{j}" for j in range(max(0, i - 3), i))) for i in range(200)]
    path = write_report(ReportData(run={"world": "craft"}, episodes=episodes, skills=skills), tmp_path / "r.html")
    assert path.stat().st_size < 4_000_000
