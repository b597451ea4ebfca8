"""`checks.yaml` in, `Config` out; every fault told in full, no secret told at all."""

from __future__ import annotations

import gc
import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.config import (
    GUARD_TARGETS,
    PROTOCOLS,
    ConfigErrors,
    Document,
    compose,
    json_schema,
    load,
    parse,
    presets,
    secrets,
)
from monitor.config.errors import Findings, Place, shown
from monitor.config.keys import KeyFinder
from monitor.config.schema import keys_at
from monitor.config.shapes import CHECKS, FileShape
from monitor.config.source import read_file
from monitor.config.tree import read_tree
from monitor.config.urls import read_url
from monitor.duration import seconds, spelled
from monitor.model import (
    ChatExpect,
    Check,
    Config,
    Confirm,
    Expecting,
    Mode,
    OutageSeries,
    Price,
    Ratio,
    Reachability,
    Secret,
    Slow,
    Timeouts,
    Tls,
    WebExpect,
    Window,
)

ROOT = Path(__file__).parent.parent
GOOD = sorted((ROOT / "tests/configs/good").glob("*.yaml"))
BAD = sorted((ROOT / "tests/configs/bad").glob("*.yaml"))
DOCS = (ROOT / "docs/configuration.md").read_text("utf-8")
CANARY = "sk-canary-5f2b9c7e1a4d8036"
KEYS = {"DEEPSEEK_API_KEY": "sk-deepseek-key", "OPENAI_API_KEY": "sk-openai-key"}
#: What the files under tests/configs may find in the environment.
ENV = {
    "SET": "a value",
    "SIXTY": "60",
    "HOST": "not a url",
    "KEY": "sk-canary-0123456789",
    "NEWLINE": "sk-canary-0123\n456789",
    "EMPTY": "",
}


def no_file(path: Path) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


def configure(
    text: str,
    env: Mapping[str, str] = KEYS,
    read_file: Callable[[Path], bytes] = no_file,
    protocols: tuple[str, ...] = PROTOCOLS,
) -> Config:
    """The configuration that a text describes."""
    tree = read_tree(text)
    document = Document("checks.yaml", tree.data, tree.line_of, flaws=tree.flaws)
    return parse([document], env, read_file, protocols)


def check(text: str, env: Mapping[str, str] = KEYS, **more: Any) -> Check:
    """The one check with the keys in the text (YAML flow style, without the braces)."""
    (only,) = configure(f"checks: [{{{text}}}]", env, **more).checks
    return only


def errors(text: str, env: Mapping[str, str] = KEYS, **more: Any) -> list[str]:
    """What is wrong with a text, as `line: path: message`."""
    with pytest.raises(ConfigErrors) as caught:
        configure(text, env, **more)
    return [str(error).removeprefix("checks.yaml:") for error in caught.value.errors]


def fault(text: str, env: Mapping[str, str] = KEYS, **more: Any) -> str:
    """The one thing wrong with a check."""
    (only,) = errors(f"checks: [{{{text}}}]", env, **more)
    return only.removeprefix("1: checks[0].")


# ------------------------------------------------------------------------------- files of examples


@pytest.mark.parametrize("path", [*GOOD, ROOT / "checks.yaml"], ids=lambda path: path.stem)
def test_good_files_load_and_satisfy_the_schema(path: Path) -> None:
    assert load(path, ENV).checks
    jsonschema.Draft202012Validator(json_schema()).validate(read_tree(path.read_text()).data)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused_with_exactly_these_messages(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    with pytest.raises(ConfigErrors) as caught:
        load(path, ENV)
    told = [str(error).removeprefix(f"{path}:") for error in caught.value.errors]
    assert [line.replace(f"{path.parent}/", "") for line in told] == [
        line.removeprefix("# expect: ") for line in head
    ]


def test_the_shipped_example_needs_no_key_and_only_the_first_protocol() -> None:
    config = load(ROOT / "checks.yaml", {}, protocols=frozenset({"openai-chat"}))
    assert [(check.name, check.mode) for check in config.checks] == [
        ("deepseek", Mode.REACHABILITY),
        ("gpt", Mode.REACHABILITY),
        ("mistral", Mode.REACHABILITY),
        ("groq", Mode.REACHABILITY),
        ("chatgpt-web", Mode.WEB),
    ]


# ---------------------------------------------------------------------------- what a check becomes


def test_one_line_becomes_a_whole_check() -> None:
    assert check("provider: deepseek") == Check(
        name="deepseek",
        mode=Mode.CHAT,
        provider="deepseek",
        url="https://api.deepseek.com",
        preset="deepseek",
        protocol="openai-chat",
        model="deepseek-flash",
        api_key=Secret("sk-deepseek-key"),
        key_name="DEEPSEEK_API_KEY",
        body={"thinking": {"type": "disabled"}},
        reachability=Reachability(15.0, "https://api.deepseek.com/models"),
        price=Price(0.15, 0.60, 0.003),
    )


def test_every_key_arrives_where_it_belongs() -> None:
    chat = load(ROOT / "tests/configs/good/every-key.yaml", ENV).checks[0]
    folder = str(ROOT / "tests/configs/good/../files")
    pem = f"{folder}/ca.pem"
    assert chat == Check(
        name="chat",
        mode=Mode.CHAT,
        provider="openai",
        url="https://gateway.example.com/v1",
        preset="openai",
        protocol="openai-chat",
        model="gpt-6-luna",
        group="Chats",
        labels={"region": "eu", "team": "search"},
        api_key=Secret("not-a-real-key-but-a-file"),
        key_name=f"{folder}/key.txt",
        headers={"X-Team": Secret("monitor"), "X-Tenant": Secret("a;b")},
        body={
            "reasoning_effort": "none",
            "user": "monitor",
            "temperature": 0,
            "stream_options": {"include_obfuscation": False},
        },
        prompt='Reply with {"colour": "blue"}',
        max_tokens=32,
        token_field="max_tokens",
        done_marker=False,
        usage_option=False,
        expect=ChatExpect(Expecting.JSON, {"colour": "blue"}, "gpt-6-luna"),
        interval=30.0,
        timeout=Timeouts(1.0, 2.0, 3.0, 4.0, 40.0),
        slow=Slow(2.5, 20.0),
        confirm=Confirm(2, 5, 3, 1, Ratio(4, 20), 2.0),
        reachability=Reachability(20.0, "https://gateway.example.com/health"),
        price=Price(0.1, 0.5, 0.01),
        budget=0.25,
        slo=0.999,
        maintenance=(
            Window("Europe/Berlin", 1796086800.0, 1796094000.0),
            Window("UTC", 1796169600.0, 1796173200.0),
            Window("Europe/Berlin", days=(6,), at="14:00", seconds=7200.0),
        ),
        tls=Tls(pem, pem, pem, "inner.example.com", False),
        proxy="http://proxy:3128",
        ip="6",
        guard=False,
        evidence_private=True,
    )


def test_defaults_reach_the_checks_that_say_nothing() -> None:
    contains = load(ROOT / "tests/configs/good/every-key.yaml", ENV).checks[1]
    assert contains.interval == 120.0
    assert contains.timeout == Timeouts(total=50.0)
    assert contains.proxy == "env"
    assert contains.slo == 0.9
    assert contains.body == {"reasoning_effort": "low", "user": "monitor"}
    assert contains.budget == 1.0
    assert contains.maintenance == (Window(days=(5, 6), at="02:00", seconds=3600.0),)
    assert contains.reachability == Reachability(30.0, "https://api.groq.com/openai/v1/models")


def test_a_web_check_is_a_page_and_its_demands() -> None:
    text = (
        "type: web, url: 'https://Chat.example.com/x', expect: {status: [200, '300-399'], regex: a}"
    )
    web = check(text)
    assert (web.mode, web.name, web.provider) == (Mode.WEB, "chat.example.com", "chat.example.com")
    assert web.page == WebExpect(status=((200, 200), (300, 399)), regex="a")
    assert (web.protocol, web.model, web.reachability) == (None, "", None)


def test_a_status_page_of_a_preset_knows_its_feed() -> None:
    page = check("type: status-page, provider: deepseek")
    assert page.mode is Mode.STATUS_PAGE
    assert (page.provider, page.feed, page.components) == ("deepseek", "flashcat", ("API",))
    assert page.url.endswith("/summary/active")
    assert page.name == "status.deepseek.com"


def test_a_status_page_of_ones_own_does_not_inherit_the_components_of_the_preset() -> None:
    text = "type: status-page, provider: deepseek, url: 'https://s.example.com/f', feed: rss"
    page = check(text)
    assert (page.feed, page.components) == ("rss", ())


def test_the_top_level_sets_guard_budget_and_retention() -> None:
    config = configure("checks: [{provider: deepseek}]")
    assert config.guard_targets == GUARD_TARGETS
    assert config.budget_usd_per_day is None
    assert config.retention == 30 * 86400.0
    config = configure(
        "guard: off\nbudget: {usd_per_day: 2}\nretention: 90d\nchecks: [{provider: deepseek}]"
    )
    assert (config.guard_targets, config.budget_usd_per_day) == ((), 2.0)
    assert config.retention == 90 * 86400.0
    assert config.outage_series == OutageSeries()


def test_the_top_level_sets_how_many_outages_are_shown() -> None:
    config = configure("outage_series: {keep: 7d, total: 50}\nchecks: [{provider: deepseek}]")
    assert config.outage_series == OutageSeries(keep=7 * 86400.0, per_check=20, total=50)


def test_checks_that_are_off_are_left_out() -> None:
    off = "{provider: deepseek, enabled: off, url: 'https://u:p@h/', prompt: p}"
    config = configure(f"checks: [{off}, {{provider: openai}}]")
    assert [check.name for check in config.checks] == ["openai"]
    assert config.warnings == ()


def test_a_check_can_be_switched_on_against_its_default() -> None:
    text = (
        "defaults: {enabled: off}\nchecks: [{provider: deepseek, enabled: on}, {provider: openai}]"
    )
    assert [check.name for check in configure(text).checks] == ["deepseek"]


# --------------------------------------------------------------------------------------- precedence


@pytest.mark.parametrize(
    ("defaults", "own", "interval"),
    [
        ("{}", "", 600.0),
        ("{interval: 2m}", "", 120.0),
        ("{interval: 2m}", "interval: 30s", 30.0),
    ],
)
def test_the_check_wins_over_defaults_and_defaults_over_the_preset(
    defaults: str, own: str, interval: float
) -> None:
    text = f"defaults: {defaults}\nchecks: [{{provider: perplexity, {own}}}]"
    assert configure(text).checks[0].interval == interval


def test_mappings_merge_key_by_key() -> None:
    text = """
    defaults:
      timeout: {connect: 2s, idle: 9s}
      slow: {first_token: 3s}
      confirm: {down: 5, ratio: {bad: 2}}
      headers: {X-Team: a, X-Other: b}
      labels: {team: a, stage: b}
      body: {thinking: {budget: 1}, user: me}
    checks:
      - provider: deepseek
        timeout: {idle: 8s}
        slow: {total: 20s}
        confirm: {up: 4, ratio: {of: 7}}
        headers: {x-team: c}
        labels: {team: c}
        body: {user: null}
    """
    made = configure(text).checks[0]
    assert made.timeout == Timeouts(connect=2.0, idle=8.0)
    assert made.slow == Slow(3.0, 20.0)
    assert made.confirm == Confirm(down=5, up=4, ratio=Ratio(2, 7))
    assert made.headers == {"X-Other": Secret("b"), "x-team": Secret("c")}
    assert made.labels == {"team": "c", "stage": "b"}
    assert made.body == {"thinking": {"type": "disabled", "budget": 1}, "user": None}


@pytest.mark.parametrize(
    ("defaults", "own", "want"),
    [
        ("{}", "timeout: 10s", Timeouts(5, 10, 10, 10, 10)),
        ("{timeout: {first_token: 40s}}", "timeout: 35s", Timeouts(5, 20, 35, 15, 35)),
        ("{timeout: 2m}", "timeout: {first_token: 90s}", Timeouts(first_token=90, total=120)),
    ],
)
def test_a_total_said_nearer_cuts_the_parts(defaults: str, own: str, want: Timeouts) -> None:
    text = f"defaults: {defaults}\nchecks: [{{provider: deepseek, {own}}}]"
    assert configure(text).checks[0].timeout == want


def test_a_short_total_is_fine_for_a_preset_with_long_deadlines() -> None:
    assert check("provider: ollama, model: m, timeout: 10s").timeout == Timeouts(5, 10, 10, 10, 10)


# -------------------------------------------------------------------------------- names and labels


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("provider: openai", "openai"),
        ("provider: openai, model: gpt-6-luna", "openai-gpt-6-luna"),
        ("provider: groq, model: 'Meta/Llama 4:free'", "groq-meta-llama-4-free"),
        ("url: 'https://API.example.com/v1', model: m", "api.example.com-m"),
        ("url: 'http://[::1]:8000/v1', model: m", "1-m"),
        ("type: web, url: 'https://chat.example.com:8443/a'", "chat.example.com"),
        (f"provider: openai, model: {'m' * 80}", "openai-" + "m" * 57),
        ("provider: openai, name: My.name_1-x", "My.name_1-x"),
    ],
)
def test_a_check_is_called_what_it_says_or_what_it_asks(text: str, name: str) -> None:
    assert check(text).name == name


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("provider: gemini", "gcp.gemini"),
        ("provider: mistral, url: 'https://gateway.example.com/v1'", "mistral_ai"),
        ("url: 'http://10.0.0.5:8000/v1', model: m", "10.0.0.5"),
        ("type: web, url: 'https://chatgpt.com/', provider: openai", "openai"),
    ],
)
def test_the_provider_label_is_the_presets_or_the_host(text: str, label: str) -> None:
    assert check(text).provider == label


def test_a_name_is_taken_even_by_a_check_that_is_off_or_broken() -> None:
    text = "checks:\n- {provider: deepseek, enabled: off}\n- {provider: deepseek}\n"
    assert errors(text) == [
        "3: checks[1].name: seen 'deepseek' again, expected another name than at checks.yaml:2"
    ]


def test_ten_label_names_are_fine_in_all() -> None:
    labels = ", ".join(f"l{index}: x" for index in range(10))
    assert len(check(f"provider: deepseek, labels: {{{labels}}}").labels) == 10
    assert fault(f"provider: deepseek, labels: {{{labels}, l10: x}}").startswith("labels.l10: ")


# -------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("text", "env", "key", "key_name", "mode"),
    [
        ("provider: openai", {"OPENAI_API_KEY": " k \n"}, "k", "OPENAI_API_KEY", Mode.CHAT),
        ("provider: openai", {}, None, "OPENAI_API_KEY", Mode.REACHABILITY),
        ("provider: openai", {"OPENAI_API_KEY": " "}, None, "OPENAI_API_KEY", Mode.REACHABILITY),
        ("provider: openai, api_key: '${MINE}'", {"MINE": "k"}, "k", "MINE", Mode.CHAT),
        ("provider: openai, api_key: '${MINE}'", KEYS, None, "MINE", Mode.REACHABILITY),
        ("provider: openai, api_key: '${MINE:-k}'", {}, "k", "MINE", Mode.CHAT),
        ("provider: openai, api_key: '${A}-${B}'", {"A": "x"}, None, "B", Mode.REACHABILITY),
        ("provider: openai, api_key: k", {}, "k", None, Mode.CHAT),
        ("provider: vllm, model: m", {}, None, None, Mode.CHAT),
        ("provider: vllm, model: m", {"VLLM_API_KEY": "k"}, "k", "VLLM_API_KEY", Mode.CHAT),
        ("url: 'http://h/v1', model: m", {}, None, None, Mode.CHAT),
        ("url: 'http://h/v1', model: m, api_key: '${MINE}'", {}, None, "MINE", Mode.REACHABILITY),
        ("provider: openai, headers: {authorization: Bearer k}", {}, None, None, Mode.CHAT),
        ("provider: openai, url: 'https://u:p@h/v1'", {}, None, None, Mode.CHAT),
    ],
)
def test_where_the_key_comes_from(
    text: str, env: dict[str, str], key: str | None, key_name: str | None, mode: Mode
) -> None:
    made = check(text, env)
    assert (made.api_key, made.key_name, made.mode) == (
        Secret(key) if key else None,
        key_name,
        mode,
    )


def test_a_key_file_is_read_next_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  sk-from-file\n")
    path = tmp_path / "checks.yaml"
    path.write_text("checks: [{provider: openai, api_key_file: key}]")
    config = load(path, {})
    assert config.checks[0].api_key == Secret("sk-from-file")
    assert config.sources == (str(path), str(tmp_path / "key"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "seen 'key', which is empty, expected the name of a file with the key"),
        (b" \n", "seen 'key', which is empty, expected the name of a file with the key"),
        (b"a\nb", "seen a character in the key from key that no header can carry, expected ASCII"),
        (b"\xff", "seen a character in the key from key that no header can carry, expected ASCII"),
    ],
)
def test_a_key_file_without_a_key_is_an_error(content: bytes, complaint: str) -> None:
    told = fault("provider: openai, api_key_file: key", read_file=lambda _path: content)
    assert told == f"api_key_file: {complaint}"


def test_the_key_file_of_a_check_that_is_off_is_not_read() -> None:
    configure(
        "checks: [{provider: openai, api_key_file: none.txt, enabled: off}, {provider: deepseek}]"
    )


def test_a_literal_key_works_with_a_warning_that_does_not_tell_it() -> None:
    config = configure(f"checks:\n- provider: openai\n  name: gpt\n  api_key: {CANARY}\n")
    assert config.checks[0].api_key == Secret(CANARY)
    (warning,) = config.warnings
    assert warning.startswith("checks.yaml:4: checks[0].api_key: check 'gpt': ")
    assert CANARY not in warning


def test_a_missing_key_is_told_at_start() -> None:
    config = configure("checks:\n- provider: openai\n", {})
    assert config.warnings == (
        "checks.yaml:2: checks[0].provider: check 'openai': no key, OPENAI_API_KEY is not set, "
        "so only whether the API answers is probed",
    )


def test_without_a_key_and_without_reachability_nothing_is_left_to_probe() -> None:
    config = configure("checks: [{provider: openai, reachability: off}]", {})
    assert config.checks[0].mode is Mode.REACHABILITY
    assert config.checks[0].reachability is None
    assert "nothing is probed" in config.warnings[0]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("provider: openai", "https://api.openai.com/v1/models"),
        ("provider: openai, url: 'https://gw.example.com/v1/'", "https://gw.example.com/v1/models"),
        (
            "provider: openai, url: 'https://gw.example.com/v1?a=b'",
            "https://gw.example.com/v1/models?a=b",
        ),
        ("provider: perplexity", "https://api.perplexity.ai"),
        ("url: 'http://h:8000/v1', model: m", "http://h:8000/v1"),
        (
            "provider: openai, reachability: {url: 'https://s.example.com/'}",
            "https://s.example.com/",
        ),
        ("provider: deepseek, protocol: anthropic", "https://api.deepseek.com/models"),
        (
            "provider: deepseek, protocol: anthropic, url: 'https://gw.example.com/a'",
            "https://gw.example.com/a",
        ),
    ],
)
def test_reachability_asks_the_free_address(text: str, url: str) -> None:
    assert check(text).reachability == Reachability(15.0, url)


@pytest.mark.parametrize(
    ("defaults", "own", "interval"),
    [
        ("off", "", None),
        ("off", "reachability: {interval: 20s}", 20.0),
        ("{interval: 40s}", "reachability: off", None),
        ("{interval: 40s}", "", 40.0),
        ("{interval: 40s}", "reachability: {url: 'https://s.example.com/'}", 40.0),
    ],
)
def test_reachability_can_be_switched_off_and_on_again(
    defaults: str, own: str, interval: float | None
) -> None:
    text = f"defaults: {{reachability: {defaults}}}\nchecks: [{{provider: openai, {own}}}]"
    made = configure(text).checks[0].reachability
    assert (made.interval if made else None) == interval


# ------------------------------------------------------------------------------ presets in a check


def test_a_price_is_not_carried_over_to_another_model() -> None:
    assert check("provider: openai, model: gpt-6-luna").price == Price(0.10, 0.50, 0.01)
    assert check("provider: openai, model: gpt-6-sol").price is None
    own = check("provider: openai, model: gpt-6-sol, price: {input: 1, output: 2}")
    assert own.price == Price(1.0, 2.0)


def test_another_protocol_takes_the_body_that_belongs_to_it() -> None:
    made = check("provider: openai, protocol: openai-responses")
    assert made.url == "https://api.openai.com/v1"
    assert made.body == {"reasoning": {"effort": "none"}, "store": False}
    assert made.token_field == "max_tokens"
    assert made.price == Price(0.10, 0.50, 0.01)


def test_a_protocol_that_a_preset_does_not_know_inherits_nothing_of_its_way_of_speaking() -> None:
    made = check("provider: openai, protocol: ollama, url: 'http://h:11434'")
    assert (made.body, made.token_field, made.model) == ({}, "max_tokens", "gpt-6-luna")


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1"),
        ("https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"),
    ],
)
def test_a_preset_may_take_its_address_from_a_variable(endpoint: str, url: str) -> None:
    text = "provider: azure-openai, protocol: openai-chat, model: luna"
    assert check(text, {"AZURE_OPENAI_ENDPOINT": endpoint}).url == url


def test_a_bad_address_in_a_presets_variable_is_not_quoted() -> None:
    told = fault("provider: azure-openai, model: m", {"AZURE_OPENAI_ENDPOINT": CANARY})
    assert told.startswith("provider: seen the value of ${AZURE_OPENAI_ENDPOINT}, expected an http")
    assert CANARY not in told


def test_a_protocol_that_this_version_does_not_speak_is_an_error() -> None:
    spoken = ("openai-chat",)
    want = "this version does not speak 'anthropic' yet, expected one of openai-chat"
    assert fault("provider: anthropic", protocols=spoken) == f"provider: {want}"
    text = "provider: deepseek, protocol: anthropic"
    assert fault(text, protocols=spoken) == f"protocol: {want}"
    assert check("type: status-page, provider: anthropic", protocols=spoken).feed == "statuspage"


# -------------------------------------------------------------------------------------- expectations


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", ChatExpect()),
        ("expect: any", ChatExpect(Expecting.ANY)),
        ("expect: {model: m}", ChatExpect(Expecting.SUM, None, "m")),
        ("prompt: p", ChatExpect(Expecting.ANY)),
        ("prompt: p, expect: {model: m}", ChatExpect(Expecting.ANY, None, "m")),
        ("prompt: p, expect: {contains: x}", ChatExpect(Expecting.CONTAINS, "x")),
        ("prompt: p, expect: {equals: x, model: m}", ChatExpect(Expecting.EQUALS, "x", "m")),
        ("prompt: p, expect: {regex: x}", ChatExpect(Expecting.REGEX, "x")),
        ("prompt: p, expect: {json: null}", ChatExpect(Expecting.JSON, None)),
    ],
)
def test_what_an_answer_must_be(text: str, want: ChatExpect) -> None:
    assert check(f"provider: deepseek, {text}").expect == want


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("prompt: p", True),
        ("prompt: p, expect: {model: m}", True),
        ("prompt: p, expect: any", False),
        ("prompt: p, expect: {contains: x}", False),
    ],
)
def test_a_prompt_whose_answer_nobody_checks_gets_a_warning(text: str, warned: bool) -> None:
    config = configure(f"checks: [{{provider: deepseek, {text}}}]")
    assert any("no answer will be wrong" in warning for warning in config.warnings) == warned


def test_faults_of_defaults_are_warned_about_once() -> None:
    text = "defaults: {prompt: p, proxy: 'http://u:p@proxy'}\nchecks: [{provider: deepseek}, {provider: openai}]"
    assert len(configure(text).warnings) == 2


def test_limits_that_no_answer_can_reach_get_a_warning() -> None:
    config = configure("checks: [{provider: deepseek, timeout: 10s, slow: {total: 20s}}]")
    (warning,) = config.warnings
    assert "20s is over timeout.total (10s)" in warning
    assert configure("checks: [{provider: deepseek, timeout: 10s}]").warnings == ()
    text = "defaults: {slow: {total: 20s}}\nchecks: [{provider: deepseek, timeout: 10s}]"
    assert configure(text).warnings == ()


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("url: 'https://h/v1/chat/completions'", True),
        ("url: 'https://h/v1/chat/completions/?a=b'", True),
        ("url: 'https://h/v1'", False),
        ("protocol: anthropic, url: 'https://h/v1/messages'", True),
    ],
)
def test_an_address_with_the_path_that_will_be_appended_gets_a_warning(
    text: str, warned: bool
) -> None:
    config = configure(f"checks: [{{model: m, {text}}}]")
    assert any("appended once more" in warning for warning in config.warnings) == warned


# ----------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", 0.5),
        ("15s", 15.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms", 93784.005),
        ("0s", 0.0),
        ("3650d", 315360000.0),
    ],
)
def test_durations_are_read_with_their_unit(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)
    assert seconds(spelled(seconds(text))) == pytest.approx(length)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-1s", "5 s", "30m1h", "1s1s", "1S", "1w", "٣s", "3651d", "1m\n"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("${A}", "1"),
        ("x${A}y${B}", "x1y2"),
        ("${NONE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${A:-d}", "1"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A and $", "$A and $"),
        ("${TRICK}", "${A}: [$$, x]"),
    ],
)
def test_variables_are_put_in_once_and_only_as_text(text: str, want: str) -> None:
    env = {"A": "1", "B": "2", "EMPTY": "", "TRICK": "${A}: [$$, x]"}
    made = check(f"provider: deepseek, expect: any, body: {{t: [{json.dumps(text)}]}}", env)
    assert made.body["t"] == [want]


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("start: 2026-07-01T02:00, end: 2026-07-01T03:00", Window("UTC", 1782871200, 1782874800)),
        (
            "start: 2026-07-01T02:00, end: 2026-07-01T03:00, zone: Europe/Berlin",
            Window("Europe/Berlin", 1782864000, 1782867600),
        ),
        (
            "start: '2026-07-01T02:00Z', end: '2026-07-01T03:00-01:00', zone: Europe/Berlin",
            Window("Europe/Berlin", 1782871200, 1782878400),
        ),
        ("start: 2026-07-01, end: 2026-07-02 00:00", Window("UTC", 1782864000, 1782950400)),
        (
            "days: [tue, mon, tue], at: 23:59, duration: 1d",
            Window("UTC", None, None, (0, 1), "23:59", 86400),
        ),
    ],
)
def test_maintenance_is_local_time_unless_it_says_otherwise(text: str, window: Window) -> None:
    assert check(f"provider: deepseek, maintenance: [{{{text}}}]").maintenance == (window,)


def test_variables_do_not_stand_in_keys() -> None:
    made = check("provider: deepseek, body: {'${A}': x}", {"A": "1"})
    assert "${A}" in made.body


def test_numbers_and_switches_may_come_from_variables() -> None:
    text = "provider: deepseek, max_tokens: '${N}', slo: '${S}', enabled: '${E}', ip: '${I}'"
    made = check(text, {"N": "24", "S": "0.5", "E": "true", "I": "6"})
    assert (made.max_tokens, made.slo, made.ip) == (24, 0.5, "6")


def test_a_text_from_a_variable_ends_as_a_plain_text() -> None:
    env = {"V": "deepseek"}
    text = "provider: '${V}', model: '${V}', group: '${V}', prompt: '${V}', labels: {a: '${V}'}"
    made = check(f"{text}, name: '${{V}}', ip: '${{IP:-any}}'", env)
    texts = (made.name, made.model, made.group, made.prompt, made.labels["a"], made.ip, made.preset)
    assert {type(value) for value in texts} == {str}


def test_the_value_of_a_refused_variable_is_never_told() -> None:
    env = {"X": CANARY}
    told = fault("provider: deepseek, interval: '${X}'", env)
    assert told.startswith("interval: seen the value of ${X}, expected a duration")


def test_a_variable_that_is_not_utf8_is_an_error() -> None:
    told = fault("provider: deepseek, group: '${X}'", {"X": "\udcff"})
    assert told == "group: the value of ${X} is not UTF-8, expected text"


@pytest.mark.parametrize(
    ("yaml", "data"),
    [
        ("[off, on, yes, No, TRUE]", [False, True, True, False, True]),
        ("[1, -2, 007, 0x1f]", [1, -2, 7, "0x1f"]),
        ("[1.5, 1e3, .5, -.inf, 1_000]", [1.5, 1000.0, 0.5, float("-inf"), "1_000"]),
        ("[~, null, ]", [None, None]),
        ("[2026-12-01, 2026-12-01T02:00:00, 14:00, 1:2:3]", None),
        ("['off', \"1\", '~']", ["off", "1", "~"]),
        ("[!!str 5, !!int '5']", ["5", 5]),
        ("{on: 1, 200: 2, ~: 3}", {"on": 1, "200": 2, "~": 3}),
        ("{<<: [{a: 1}, {a: 2, b: 3}], b: 4}", {"a": 1, "b": 4}),
    ],
)
def test_yaml_means_what_people_mean(yaml: str, data: Any) -> None:
    expected = yaml.strip("[]").split(", ") if data is None else data
    assert read_tree(yaml).data == expected


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_without_libyaml_everything_reads_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = read_tree(path.read_text())
    monkeypatch.setattr(compose, "_Composer", type("Slow", (compose.Words, yaml.SafeLoader), {}))
    made = read_tree(path.read_text())
    assert (made.data, made.flaws) == (want.data, want.flaws)
    assert made.line_of(("checks", 0)) == want.line_of(("checks", 0))


def test_the_passwords_of_addresses_are_taken_out() -> None:
    config = configure("checks: [{url: 'https://me%40x:p%2Fw@h.example.com:8443/v1', model: m}]")
    made = config.checks[0]
    assert made.url == "https://h.example.com:8443/v1"
    assert made.basic == Secret("me@x:p/w")
    assert made.reachability == Reachability(15.0, "https://h.example.com:8443/v1")
    assert "password stands in the address" in config.warnings[0]
    assert {"me@x:p/w", "p/w", "bWVAeDpwL3c="} <= set(secrets(config))


def test_a_proxy_keeps_its_password_and_does_not_show_it() -> None:
    text = f"checks: [{{provider: deepseek, proxy: 'http://me:{CANARY}@proxy:3128'}}]"
    config = configure(text)
    assert config.checks[0].proxy == f"http://me:{CANARY}@proxy:3128"
    assert CANARY not in repr(config)
    assert CANARY in secrets(config)
    assert len(config.warnings) == 1
    quiet = "checks: [{provider: deepseek, proxy: 'http://me:${PW}@proxy:3128'}]"
    assert configure(quiet, {**KEYS, "PW": "x"}).warnings == ()


def test_secrets_are_all_of_them_and_nothing_empty() -> None:
    text = """
    checks:
      - {provider: deepseek, headers: {X-Token: header-secret, Authorization: Bearer token-secret}}
      - {provider: openai, proxy: "http://u:proxy-secret@h", tls: {server_name: x}}
      - {type: web, url: "https://u:page-secret@h/", headers: {X-Empty: ""}}
      - {type: web, url: "https://u@h/", name: bare, proxy: env}
    """
    found = secrets(configure(text))
    assert {
        *KEYS.values(),
        "header-secret",
        "Bearer token-secret",
        "token-secret",
        "proxy-secret",
        "page-secret",
    } <= set(found)
    assert all(text.strip() for text in found)
    assert list(found) == sorted(found, key=lambda text: (-len(text), text))
    assert "env" not in found


# ------------------------------------------------------------------------------- files and folders


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"checks:\n- {provider: deepseek}\n- \xff",
            "3: seen bytes that are not UTF-8, expected text",
        ),
        (b"\xff\xfec\x00", "1: seen bytes that are not UTF-8, expected text"),
        (b"", "1: checks: no checks, expected at least one"),
        (b"# only a comment\n", "1: checks: no checks, expected at least one"),
        (
            b"checks: [\n",
            "2: not YAML: while parsing a flow node, did not find expected node content",
        ),
    ],
)
def test_unreadable_content_is_an_error_like_any_other(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "checks.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors) as caught:
        load(path, {})
    assert str(caught.value) == f"{path}:{complaint}"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_bytes(b"\xef\xbb\xbfchecks: [{provider: deepseek}]\r\n")
    assert load(tmp_path / "checks.yaml", {}).checks


def test_a_missing_file_is_an_error_like_any_other(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path / "none.yaml" / "inner", Path("no\0path")):
        with pytest.raises(ConfigErrors) as caught:
            load(path, {})
        (error,) = caught.value.errors
        assert error.message.startswith("cannot be read (")
        assert (error.file, error.line, error.path) == (str(path), 1, "")


def test_a_key_file_that_is_a_folder_is_an_error_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text("checks: [{provider: openai, api_key_file: .}]")
    with pytest.raises(
        ConfigErrors, match=r"seen '\.' \(Is a directory\), expected the name of a file"
    ):
        load(path, {})


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"12345678")
    assert read_file(path, 8) == b"12345678"
    with pytest.raises(OSError, match="larger than"):
        read_file(path, 7)


def test_a_file_that_many_checks_name_is_read_once() -> None:
    asked: list[Path] = []

    def read(path: Path) -> bytes:
        asked.append(path)
        return b"pem"

    text = "{tls: {ca_file: ca.pem}, provider: %s}"
    config = configure(f"checks: [{text % 'openai'}, {text % 'deepseek'}]", read_file=read)
    assert asked == [Path("ca.pem")]
    assert config.sources == ("checks.yaml", "ca.pem")


def test_a_folder_is_read_in_the_order_of_its_file_names(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("checks: [{provider: openai}]")
    (tmp_path / "a.yaml").write_text("checks: [{provider: deepseek}]\nretention: 1d")
    (tmp_path / "c.yaml").write_text("defaults: {interval: 5m}")
    (tmp_path / "d.yaml").write_text("")
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    (tmp_path / "sub.yaml").mkdir()
    config = load(tmp_path, KEYS)
    assert [(check.name, check.interval) for check in config.checks] == [
        ("deepseek", 300.0),
        ("openai", 300.0),
    ]
    assert config.retention == 86400.0
    names = [str(tmp_path / name) for name in ("a.yaml", "b.yml", "c.yaml", "d.yaml")]
    assert list(config.sources) == names


def test_the_garbage_collector_works_again_after_a_load(tmp_path: Path) -> None:
    assert gc.isenabled()
    load(ROOT / "checks.yaml", {})
    with pytest.raises(ConfigErrors):
        load(tmp_path, {})
    assert gc.isenabled()


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"cannot be read \(no \*\.yaml in it\)"):
        load(tmp_path, {})


def test_all_faults_of_all_files_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text("budget: {usd_per_day: 1}\nchecks:\n- {provider: deepseek, interval: 1}\n")
    b.write_text(
        "budget: {usd_per_day: 2}\nchecks:\n- {provider: deepseek}\n- {provider: x, ip: 7}\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, KEYS)
    assert [(error.file, error.line, error.path) for error in caught.value.errors] == [
        (str(a), 3, "checks[0].interval"),
        (str(b), 1, "budget"),
        (str(b), 3, "checks[0].name"),
        (str(b), 4, "checks[1].ip"),
        (str(b), 4, "checks[1].provider"),
    ]
    assert f"{a}:1" in caught.value.errors[1].message
    assert f"{a}:3" in caught.value.errors[2].message


def test_the_faults_of_one_check_do_not_hide_those_of_meaning() -> None:
    text = "provider: deepseek, intervall: 5s, timeout: {idle: 2m}, expect: {contains: x}"
    assert [line.split(": ")[1] for line in errors(f"checks: [{{{text}}}]")] == [
        "checks[0].expect",
        "checks[0].intervall",
        "checks[0].timeout.idle",
    ]


def test_lines_are_found_through_aliases_and_merges() -> None:
    text = "checks:\n- &a\n  provider: deepseek\n  interval: 1\n- <<: *a\n  name: b\n"
    assert [line.split(": ")[:2] for line in errors(text)] == [
        ["4", "checks[0].interval"],
        ["4", "checks[1].interval"],
    ]


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 60_000, "{a: " * 60_000])
def test_bottomless_nesting_is_an_error_and_no_crash(text: str) -> None:
    (only,) = errors(text)
    assert only == "1: not YAML: nested deeper than 60 levels"


def test_a_chain_of_aliases_does_not_nest_without_end() -> None:
    text = "".join(f"k{at}: &k{at} [{f'*k{at - 1}' if at else 'x'}]\n" for at in range(3000))
    assert any("nested deeper than 60 by aliases" in line for line in errors(text))


def test_thousands_of_slips_are_told_too() -> None:
    text = "checks:\n" + "- {provider: deepseek, intervall: 5s, name: n}\n" * 2000
    assert len(errors(text)) == 3999


# ---------------------------------------------------------------------------------------- secrecy


def places(shape: Any, trail: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key of a shape, and one invented one in each mapping."""
    for key in (*keys_at(shape, trail), "unknown"):
        yield (*trail, key)
        if key not in ("unknown", "json") and keys_at(shape, (*trail, key)):
            yield from places(shape, (*trail, key))
        if key in ("maintenance", "notify"):
            yield from places(shape, (*trail, key, 0))


def planted(trail: tuple[str | int, ...], value: Any) -> Any:
    """A value wrapped so that it stands at the trail."""
    for key in reversed(trail):
        value = [value] if isinstance(key, int) else {key: value}
    return value


#: What becomes a label value may be told: whoever writes a secret there publishes it.
PUBLIC = {("name",), ("model",)}
SEEDS = [
    CANARY,
    [CANARY],
    {CANARY: None},
    {"x": CANARY},
    {CANARY: CANARY},
    "${CANARY}",
    "${CANARY",
    f"${{{'UNSET'}}}{CANARY}",
    f"http://u:{CANARY}@",
    f"https://u:{CANARY}@h/?key=x",
    f"https://h/?token={CANARY}",
    f"Bearer {CANARY}\n",
]


def told(data: Any) -> str:
    """All that a load says to anybody: errors, or warnings."""
    try:
        config = parse([Document("checks.yaml", data)], {"CANARY": CANARY}, no_file)
    except ConfigErrors as caught:
        story = "".join(traceback.format_exception(caught))
        return f"{caught!r} {caught.errors!r} {story}"
    return " ".join(config.warnings)


def plantings(seed: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Files with the seed at every key that there is, and at one that there is not."""
    for type_, shape in CHECKS.items():
        around = {"provider": "deepseek", "url": "https://h/", "name": "n"}
        around |= {} if type_ == "chat" else {"type": type_}
        for trail in places(shape):
            if trail not in PUBLIC or not isinstance(seed, str):
                yield trail, {"checks": [{**around, **planted(trail, seed)}]}
    for trail in places(FileShape):
        if trail != ("checks",):
            yield trail, {"checks": [{"provider": "deepseek"}], **planted(trail, seed)}
    for data in (seed, {"checks": seed}, {"checks": [seed]}):
        yield (), data


@pytest.mark.parametrize("seed", SEEDS, ids=[str(index) for index in range(len(SEEDS))])
def test_no_error_tells_a_secret_wherever_it_was_put(seed: Any) -> None:
    for trail, data in plantings(seed):
        assert CANARY not in told(data), trail


@pytest.mark.parametrize(
    "seed",
    [None, True, 0, -1, 10**30, float("nan"), float("inf"), "", " ", "a\0b", "${", [], {}, [[]]],
    ids=repr,
)
def test_no_value_anywhere_breaks_the_loader(seed: Any) -> None:
    for trail, data in plantings(seed):
        assert told(data) is not None, trail


@pytest.mark.parametrize(
    "text",
    [
        f"api_key: '{CANARY}'",
        "api_key: '${CANARY}'",
        f"headers: {{X-Key: '{CANARY}'}}",
        f"url: 'https://u:{CANARY}@h/v1'",
        f"proxy: 'http://u:{CANARY}@h:1'",
    ],
)
def test_no_repr_of_a_configuration_shows_a_secret(text: str) -> None:
    config = configure(f"checks: [{{provider: deepseek, {text}}}]", {"CANARY": CANARY})
    assert CANARY not in repr(config)
    assert CANARY not in str(config.checks[0])
    assert CANARY not in " ".join(config.warnings)
    assert any(CANARY in secret for secret in secrets(config))


def test_what_holds_secrets_while_loading_has_no_repr() -> None:
    document = Document("checks.yaml", {"api_key": CANARY})
    assert CANARY not in repr(document)
    assert CANARY not in repr(Place(document))
    assert CANARY not in repr(KeyFinder({"KEY": CANARY}, no_file, Findings()))
    assert CANARY not in repr(read_url(f"https://u:{CANARY}@h/"))


@pytest.mark.parametrize(
    "text",
    [
        f"checks:\n- provider: deepseek\n  api_key: *{CANARY}\n",
        f"checks:\n- provider: deepseek\n  api_key: !{CANARY} x\n",
        f'checks:\n- provider: deepseek\n  api_key: "{CANARY}\n',
        f"checks:\n- provider: deepseek\n  api_key: {CANARY}: x\n",
        f"checks:\n- provider: deepseek\n  api_key: @{CANARY}\n",
        f"checks:\n- provider: deepseek\n api_key: {CANARY}\n",
        f"checks:\n- provider: deepseek\n  {CANARY}\n",
        f"checks:\n- provider: deepseek\n  ? [{CANARY}]\n  : x\n",
    ],
)
def test_no_syntax_error_quotes_the_text(text: str) -> None:
    assert CANARY not in "".join(errors(text))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("deepsek", "'deepsek'"),
        ("gpt-6-luna", "'gpt-6-luna'"),
        (5, "5"),
        (False, "false (or off)"),
        (None, "nothing"),
        ([], "a list"),
        ("sk-abc", "a text of 6 characters"),
        ("api_key:hunter2", "a text of 15 characters"),
        ("https://u:p@h", "a text of 13 characters"),
        ("a\nb", "a text of 3 characters"),
        ("x" * 60, "a text of 60 characters"),
        ("AbCdEf0123456789AbCdEf", "a text of 22 characters"),
    ],
)
def test_only_harmless_texts_are_quoted(value: Any, words: str) -> None:
    assert shown(value) == words


def test_a_place_keeps_its_first_error_only() -> None:
    findings = Findings()
    place = Place(Document("a.yaml", None), ("checks", 0))
    findings.error(place, "first")
    findings.error(place, "second")
    assert [str(error) for error in findings.errors] == ["a.yaml:1: checks[0]: first"]


# -------------------------------------------------------------------------- schema and documentation


def schema_paths() -> list[str]:
    """Every key as the documentation writes it: `timeout.connect`, `guard.targets`, `interval`."""
    found: dict[str, None] = {}
    for shape in (FileShape, *CHECKS.values()):
        for trail in places(shape):
            if (trail[0] != "defaults" or len(trail) == 1) and "unknown" not in trail:
                found[".".join(part for part in trail if isinstance(part, str))] = None
    return list(found)


def documented() -> dict[str, str]:
    """The keys in the tables of the documentation and their defaults."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|[^|]*\|([^|]*)\|[^|]*\|$", DOCS, re.MULTILINE)
    return {key: default.strip(" `") for key, default in rows}


@pytest.mark.parametrize("path", schema_paths())
def test_every_key_is_documented(path: str) -> None:
    assert path in documented()


def test_nothing_is_documented_that_does_not_exist() -> None:
    assert set(documented()) <= set(schema_paths())


def test_the_documented_defaults_are_those_of_the_code() -> None:
    plain = Check("n", Mode.CHAT, "p", "https://h")
    facts: dict[str, Any] = {
        "interval": plain.interval,
        "retention": next(field.default for field in fields(Config) if field.name == "retention"),
        "reachability.interval": check("provider: openai").reachability.interval,  # type: ignore[union-attr]
    }
    for name in ("timeout", "slow", "confirm"):
        for key, value in asdict(getattr(plain, name)).items():
            facts[f"{name}.{key}"] = value
    facts |= {f"confirm.ratio.{key}": value for key, value in facts.pop("confirm.ratio").items()}
    table = documented()
    assert {key: table[key] for key, value in facts.items() if isinstance(value, int)} == {
        key: str(value) for key, value in facts.items() if isinstance(value, int)
    }
    assert {
        key: seconds(table[key]) for key, value in facts.items() if isinstance(value, float)
    } == {key: value for key, value in facts.items() if isinstance(value, float)}


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[1:])
def test_the_examples_of_the_documentation_load(block: str) -> None:
    config = configure(block, KEYS, lambda _path: b"sk-any")
    assert config.checks
    jsonschema.Draft202012Validator(json_schema()).validate(read_tree(block).data)


def test_every_preset_is_documented() -> None:
    for preset in presets().values():
        (row,) = re.findall(rf"^\| `{preset.key}` \| (.*?) \|", DOCS, re.MULTILINE)
        assert f"`{preset.key_name}`" in row
        assert preset.key_required != ("not required" in row)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_committed_schema_is_the_generated_one() -> None:
    """Write the file anew with `monitor schema > checks.schema.json`."""
    assert json.loads((ROOT / "checks.schema.json").read_text("utf-8")) == json_schema()


@pytest.mark.parametrize(
    "data",
    [
        {"checks": [{"provider": "deepseek", "intervall": "5s"}]},
        {"checks": [{"provider": "deepsek"}]},
        {"checks": [{"provider": "deepseek", "interval": 5}]},
        {"checks": [{"provider": "deepseek", "timeout": {"dns": "5s"}}]},
        {"checks": [{"type": "web", "url": "https://h/", "model": "m"}]},
        {"checks": [{"type": "web"}]},
        {"checks": [{"type": "webb", "url": "https://h/"}]},
        {"checks": []},
        {"check": []},
        {"checks": [{"provider": "deepseek"}], "defaults": {"url": "https://h/"}},
        {"checks": [{"provider": "deepseek"}], "guard": {"target": []}},
    ],
)
def test_the_schema_lets_editors_see_the_usual_slips(data: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate(data)


def test_every_key_has_a_description_for_editors() -> None:
    schema = json_schema()
    shapes = [schema, *schema["$defs"].values()]
    bare = [
        key
        for shape in shapes
        for key, field in shape["properties"].items()
        if "description" not in field
    ]
    assert bare == []


def test_every_key_stands_in_a_good_file() -> None:
    data = read_tree((ROOT / "tests/configs/good/every-key.yaml").read_text()).data
    used: set[str] = set()

    def walk(value: Any, trail: tuple[str, ...]) -> None:
        used.add(".".join(trail))
        for key, inner in value.items() if isinstance(value, dict) else ():
            walk(inner, (*trail, key))
        for inner in value if isinstance(value, list) else ():
            walk(inner, () if trail == ("checks",) else trail)

    walk(data, ())
    unused = [path for path in schema_paths() if path not in used]
    assert unused == ["api_key"] or unused == []


def test_errors_come_sorted() -> None:
    lines = [
        int(line.split(":")[0])
        for line in errors((BAD[0].parent / "duration.yaml").read_text(), ENV)
    ]
    assert all(first <= second for first, second in pairwise(lines))
    assert len(lines) > 5
