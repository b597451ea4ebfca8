"""What probing costs: an estimate before anything is spent, and the bill after."""

from __future__ import annotations

from monitor.model import Check, Mode, Price, Tokens

DAY = 86_400.0

#: The default question measures 20 tokens with its chat frame in common tokenisers, its answer 2.
QUESTION_TOKENS = 24
ANSWER_TOKENS = 4
CHARACTERS_PER_TOKEN = 3.5


def cost(price: Price | None, tokens: Tokens | None) -> float | None:
    """US dollars for one attempt, or None where price or usage is not known.

    Reasoning tokens are billed as output by every vendor surveyed and are part of `output`.
    """
    if price is None or tokens is None or tokens.input is None or tokens.output is None:
        return None
    cached = min(tokens.cached or 0, tokens.input)
    cached_price = price.input if price.cached is None else price.cached
    fresh = tokens.input - cached
    dollars = fresh * price.input + cached * cached_price + tokens.output * price.output
    return dollars / 1e6


def estimate_per_day(check: Check) -> float | None:
    """US dollars a day at the check's schedule, rechecks aside; None where no price is known.

    Only a keyed chat check costs anything.
    """
    if check.mode is not Mode.CHAT:
        return 0.0
    if check.price is None:
        return None
    rounds = DAY / check.interval
    asked, answered = QUESTION_TOKENS, min(ANSWER_TOKENS, check.max_tokens)
    if check.prompt is not None:
        asked = round(len(check.prompt) / CHARACTERS_PER_TOKEN) + 8
        answered = check.max_tokens
    per_round = cost(check.price, Tokens(input=asked, output=answered))
    return None if per_round is None else rounds * per_round
