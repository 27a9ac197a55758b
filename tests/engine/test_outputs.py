"""Tests of ``engine.outputs``."""

from __future__ import annotations

import json

import msgspec

from engine.events import EVENT_ENCODER, EVENT_TYPES, InputRejected, MarketResumed
from engine.outputs import ATTRIBUTION, Outputs, Tape


def test_ordinals_count_within_an_input() -> None:
    """They begin at 0 with every sequence, go on where the same input speaks again, and the time
    is the one set last. Catches two facts of one name."""
    tape = Tape()
    tape.at(4, 100)
    tape.say(InputRejected, reason="late")
    tape.at(4, 101)
    tape.say(InputRejected, reason="jump")
    tape.at(7, 102)
    tape.say(InputRejected, reason="late")
    events, _, _ = tape.take()
    places = [(e.sequence, e.ordinal, e.ts_ns) for e in events]
    assert places == [(4, 0, 100), (4, 1, 101), (7, 0, 102)]


def test_taking_leaves_an_empty_tape_that_counts_on() -> None:
    """What was said is given once; the ordinals of an input go on in the next call. Catches a fact
    told twice, and a step cut inside an input's outputs that names two of them alike."""
    tape = Tape()
    tape.at(4, 100)
    tape.say(InputRejected, reason="late")
    assert len(tape.take()[0]) == 1
    assert tape.take() == ((), b"", ())
    tape.at(4, 100)
    tape.say(InputRejected, reason="late")
    assert tape.take()[0][0].ordinal == 1


def test_lines_are_the_canonical_bytes_of_the_events() -> None:
    """One JSON object each, tag first, fields in declared order, no line end but after each.
    Catches a line that is not its event."""
    tape = Tape()
    tape.at(1, 2)
    tape.say(MarketResumed, symbol="BTCUSDT", price=100.5, stale_ns=3)
    tape.say(MarketResumed, symbol="ETH\nUSDT", price=1.0, stale_ns=3)
    events, text, _ = tape.take()
    lines = Outputs(events, text).lines
    assert lines == [EVENT_ENCODER.encode(event) for event in events]
    assert text == b"".join(line + b"\n" for line in lines)
    assert lines[0] == (
        b'{"event":"market_resumed","sequence":1,"ordinal":0,"ts_ns":2,'
        b'"symbol":"BTCUSDT","price":100.5,"stale_ns":3}'
    )
    assert list(json.loads(lines[0]))[:4] == ["event", "sequence", "ordinal", "ts_ns"]


def test_every_event_has_its_own_tag() -> None:
    """Written out in the past tense's own name; one decoder reads them all. Catches two classes of
    one tag."""
    tags = [t.__struct_config__.tag for t in EVENT_TYPES]
    assert len(set(tags)) == len(tags)
    event = InputRejected(sequence=1, ordinal=0, ts_ns=5, reason="late", symbol="X", kind="mark")
    union = msgspec.json.Decoder(type=EVENT_TYPES[0] | EVENT_TYPES[1])
    assert union.decode(EVENT_ENCODER.encode(event)) == event


def test_outputs_are_true_where_anything_was_said() -> None:
    """Catches a caller that drops NAVs because there were no events."""
    assert not Outputs()
    event = InputRejected(sequence=1, ordinal=0, ts_ns=5, reason="late")
    assert Outputs([event], b"", [], [])


def test_the_price_comes_first_and_every_cause_once() -> None:
    """Columns of a NAV block go by place: a cause in another place would be read as its
    neighbour."""
    assert ATTRIBUTION[0] == "price"
    assert ATTRIBUTION[-2:] == ("rounding", "flows")
    assert len(set(ATTRIBUTION)) == len(ATTRIBUTION) == 14
