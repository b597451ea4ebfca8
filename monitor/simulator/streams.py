"""Answers that begin with a good 200: the healthy one, and how it goes wrong on the way.

A behaviour that returns without `line.end()` has its connection closed inside the body.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

from monitor.simulator.exchange import Exchange
from monitor.simulator.seam import Ending, Trouble


async def healthy(x: Exchange) -> None:
    """A complete answer."""
    await x.recite(x.render())


async def keepalive(x: Exchange) -> None:
    """200 and keep-alives without a token, for ever or for `after` seconds (DeepSeek's queue)."""
    await x.begin(x.render(), 0)
    await x.keep_alive()
    await x.line.end()


async def silent(x: Exchange) -> None:
    """A 200 head, then nothing."""
    await x.head(200, x.render().media)
    await x.rest()


async def mid_stream_error(x: Exchange) -> None:
    """Tokens, then an error object under the same 200, and no marker."""
    await _break_off(x, Trouble.SERVER)


async def mid_stream_overload(x: Exchange) -> None:
    """Tokens, then an error object that says overload, and no marker."""
    await _break_off(x, Trouble.BUSY)


async def _break_off(x: Exchange, trouble: Trouble) -> None:
    await x.begin(x.render(), x.params.tokens)
    await x.pause(x.params.gap)
    await x.line.send(x.dialect.error_event(trouble, x.flavour))
    await x.line.end()


async def cut(x: Exchange) -> None:
    """Tokens, then the connection closes inside the chunked body."""
    await x.begin(x.render(), x.params.tokens)


async def clean_end(x: Exchange) -> None:
    """Tokens, then a proper end of the body without finish reason and marker."""
    await x.begin(x.render(), x.params.tokens)
    await x.line.end()


async def no_done(x: Exchange) -> None:
    """All but the marker."""
    rendered = x.render()
    await x.begin(rendered)
    await x.close_answer(rendered)
    await x.line.end()


async def stall(x: Exchange) -> None:
    """Tokens, then silence on an open connection."""
    await x.begin(x.render(), x.params.tokens)
    await x.rest()


async def no_end(x: Exchange) -> None:
    """The whole answer, then keep-alives in the place of the marker."""
    rendered = x.render()
    await x.begin(rendered)
    await x.close_answer(rendered)
    await x.keep_alive()
    await x.line.end()


async def empty(x: Exchange) -> None:
    """A stream that is complete and says nothing."""
    await x.recite(x.render(replace(x.answer(), thoughts=(), pieces=(), ending=Ending.STOP)))


async def reasoning_only(x: Exchange) -> None:
    """Thinking used up all tokens: no visible answer, finish `length`."""
    thinking = replace(x, ask=replace(x.ask, thinking=True))
    answer = replace(thinking.answer(aloud=True), pieces=(), ending=Ending.LENGTH)
    await x.recite(x.render(answer))


async def filtered(x: Exchange) -> None:
    """Tokens, then a finish that says the content filter stepped in."""
    await _stop_early(x, Ending.FILTERED)


async def insufficient_resource(x: Exchange) -> None:
    """Tokens, then DeepSeek's finish `insufficient_system_resource`."""
    await _stop_early(x, Ending.EXHAUSTED)


async def _stop_early(x: Exchange, ending: Ending) -> None:
    answer = x.answer()
    await x.recite(
        x.render(replace(answer, pieces=answer.pieces[: x.params.tokens], ending=ending))
    )


async def malformed(x: Exchange) -> None:
    """Half of a token's event, then a proper end of the body."""
    rendered = x.render()
    await x.begin(rendered, 0)
    await x.pause(x.params.first_token)
    await x.line.send(rendered.half_token + b"\n\n")
    await x.line.end()


async def json_200(x: Exchange) -> None:
    """The whole completion as one JSON object although a stream was asked for."""
    await healthy(replace(x, ask=replace(x.ask, stream=False)))


async def json_error_200(x: Exchange) -> None:
    """An error object as the whole body of a 200."""
    _, body = x.dialect.error(Trouble.SERVER, x.flavour, "")
    await x.whole(200, x.dialect.error_media, body)


async def endless(x: Exchange) -> None:
    """Tokens for ever, far past any cap."""
    rendered = x.render()
    await x.begin(rendered)
    for piece in cycle(rendered.pieces):
        await x.pause(x.params.gap)
        await x.say(piece)
