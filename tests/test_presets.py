"""Every preset that ships is whole, current and free of surprises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monitor.config import FEEDS, PROTOCOLS, ConfigErrors, Document, load, presets
from monitor.config.presets import PRESETS, Preset, read_presets
from monitor.config.tree import read_tree
from monitor.model import Check, Mode

#: `provider` label and protocol of each, as the contract has them.
CONTRACT = {
    "deepseek": ("deepseek", "openai-chat"),
    "openai": ("openai", "openai-chat"),
    "anthropic": ("anthropic", "anthropic"),
    "gemini": ("gcp.gemini", "gemini"),
    "mistral": ("mistral_ai", "openai-chat"),
    "groq": ("groq", "openai-chat"),
    "xai": ("x_ai", "openai-chat"),
    "openrouter": ("openrouter", "openai-chat"),
    "together": ("together", "openai-chat"),
    "fireworks": ("fireworks", "openai-chat"),
    "perplexity": ("perplexity", "openai-chat"),
    "moonshot": ("moonshot_ai", "openai-chat"),
    "dashscope": ("dashscope", "openai-chat"),
    "cohere": ("cohere", "cohere"),
    "azure-openai": ("azure.ai.openai", "azure-openai"),
    "bedrock": ("aws.bedrock", "bedrock"),
    "huggingface": ("huggingface", "openai-chat"),
    "ollama": ("ollama", "ollama"),
    "vllm": ("vllm", "openai-chat"),
    "llamacpp": ("llamacpp", "openai-chat"),
    "litellm": ("litellm", "openai-chat"),
}
LOCAL = {"ollama", "vllm", "llamacpp", "litellm"}
ALL = list(presets().values())
ENV = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}


def made(tmp_path: Path, preset: Preset, **more: str) -> Check:
    """The check that a preset makes alone, with its key set."""
    own = {"provider": preset.key, **({} if "model" in preset.facts else {"model": "m"}), **more}
    path = tmp_path / "checks.yaml"
    path.write_text(
        "checks: [{" + ", ".join(f"{key}: {value}" for key, value in own.items()) + "}]"
    )
    (check,) = load(path, {**ENV, str(preset.key_name): "sk-test"}).checks
    return check


def test_all_promised_presets_are_there_with_their_labels_and_protocols() -> None:
    assert {preset.key: (preset.otel, preset.protocol) for preset in ALL} == CONTRACT


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.key)
def test_a_preset_alone_makes_a_check(tmp_path: Path, preset: Preset) -> None:
    check = made(tmp_path, preset)
    assert check.mode is Mode.CHAT
    assert (check.provider, check.protocol) == (preset.otel, preset.protocol)
    assert check.reachability is not None
    assert check.reachability.url.startswith(re.match(r"https?://[^/]+", check.url)[0])  # type: ignore[index]
    assert not check.url.endswith("/")


@pytest.mark.parametrize(
    ("preset", "protocol"),
    [(preset, protocol) for preset in ALL for protocol in preset.variants],
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_each_other_protocol_of_a_preset_makes_a_check(
    tmp_path: Path, preset: Preset, protocol: str
) -> None:
    check = made(tmp_path, preset, protocol=protocol)
    assert check.protocol == protocol != preset.protocol
    assert check.price == made(tmp_path, preset).price


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.key)
def test_a_preset_says_where_its_facts_come_from(preset: Preset) -> None:
    assert len(preset.source) > 10
    assert "://" not in preset.source


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.key)
def test_a_key_is_required_except_by_servers_of_ones_own(preset: Preset) -> None:
    assert preset.key_required == (preset.key not in LOCAL)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", preset.key_name or "")


@pytest.mark.parametrize(
    "preset",
    [preset for preset in ALL if preset.key not in {*LOCAL, "azure-openai", "huggingface"}],
    ids=lambda preset: preset.key,
)
def test_what_a_vendors_model_costs_is_known(tmp_path: Path, preset: Preset) -> None:
    price = made(tmp_path, preset).price
    assert price is not None
    assert 0 < price.input <= price.output
    assert price.cached is None or price.cached < price.input


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.key)
def test_a_status_page_has_a_known_format_and_a_page_for_people(preset: Preset) -> None:
    page = preset.status_page
    if page is None:
        assert preset.key in {*LOCAL, "mistral", "dashscope"}
    else:
        assert page["feed"] in FEEDS
        assert page["url"].text.startswith("https://")
        assert page["page"].text.startswith("https://")


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("deepseek", {"thinking": {"type": "disabled"}}),
        ("openai", {"reasoning_effort": "none"}),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
        ("dashscope", {"enable_thinking": False}),
        ("moonshot", {"thinking": {"type": "disabled"}}),
        ("xai", {"reasoning_effort": "none"}),
        ("anthropic", {}),
    ],
)
def test_thinking_is_off_where_it_can_be(tmp_path: Path, key: str, body: dict[str, Any]) -> None:
    check = made(tmp_path, presets()[key])
    assert (check.body, check.max_tokens) == (body, 16)


@pytest.mark.parametrize("key", ["groq", "together", "fireworks", "huggingface"])
def test_models_that_always_think_have_room_for_it(tmp_path: Path, key: str) -> None:
    assert made(tmp_path, presets()[key]).max_tokens >= 256


@pytest.mark.parametrize("key", ["openai", "azure-openai", "moonshot"])
def test_where_the_old_name_of_the_token_cap_is_refused_the_new_one_is_used(
    tmp_path: Path, key: str
) -> None:
    assert made(tmp_path, presets()[key]).token_field == "max_completion_tokens"


def test_the_region_of_bedrock_comes_from_the_usual_variable(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text("checks: [{provider: bedrock}]")
    (check,) = load(path, {"AWS_REGION": "eu-central-1"}).checks
    assert check.url == "https://bedrock-runtime.eu-central-1.amazonaws.com"


def test_every_protocol_but_the_responses_one_is_some_presets_own() -> None:
    assert {preset.protocol for preset in ALL} == set(PROTOCOLS) - {"openai-responses"}


def test_the_file_explains_itself() -> None:
    head = PRESETS.read_text("utf-8").split("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    for key in ("title", "otel", "key_required", "protocols", "status_page", "source"):
        assert key in head


def test_faults_of_presets_are_told_like_any_other() -> None:
    tree = read_tree(
        "acme:\n  title: Acme\n  otel: acme\n  protokol: openai-chat\n  price: {input: 1}\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        read_presets(Document("presets.yaml", tree.data, tree.line_of))
    assert [str(error) for error in caught.value.errors] == [
        "presets.yaml:1: acme.date: missing, expected this key here",
        "presets.yaml:1: acme.protocol: missing, expected this key here",
        "presets.yaml:1: acme.source: missing, expected this key here",
        "presets.yaml:4: acme.protokol: unknown key, did you mean 'protocol'?",
        "presets.yaml:5: acme.price.output: missing, expected this key here",
    ]
