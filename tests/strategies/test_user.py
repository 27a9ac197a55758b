"""Tests of ``strategies/user.py`` and ``strategies/small.py``: loading by name, and asking."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config import load_config, resolved_toml
from engine.config.policy_settings import UserPolicyConfig
from engine.engine import Engine, EngineSpec
from engine.errors import PolicyError
from engine.events import Event, PolicyFaulted, Rebalanced
from engine.market import MarketSpec
from engine.policy import (
    MarketView,
    Policy,
    PolicyAnswerError,
    PositionView,
    SetLeverage,
    View,
)
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.snapshot import restore, snapshot
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from strategies import Constant, LeverageBand, MarginFloor
from strategies.isolated import isolated_policy
from strategies.user import built_in_name, load_policy, plug_ins, policy_file

START_NS = 1_700_000_000 * SECOND_NS


def a_file(folder: Path, text: str, name: str = "p1.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def loaded(folder: Path, body: str, cls: str = "Mine", **params: Any) -> Policy:
    return load_policy(f"{a_file(folder, body)}:{cls}", params)


def refusal(name: str, **params: Any) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(name, params)
    assert caught.value.exit_code == 3
    return str(caught.value)


def a_spec(*policies: Policy) -> EngineSpec:
    return EngineSpec(
        symbols=("BTCUSDT",),
        markets=(
            MarketSpec(
                symbol=0,
                contract=ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT", taker_fee=0.0004),
                book=BookSpec(model="depth", depth_at_1pct=244e6),
                funding=FundingSpec(recorded=False, rate_8h=0.0001),
                mark_source="mark",
            ),
        ),
        products=(ProductSpec(id="P", market=0, seed_atoms=10**12),),
        policies=((*policies, MarginFloor()),),
        sampling=Sampling(nav_every_ns=SECOND_NS),
    )


def steps(rows: int = 4_000, block: int = 500) -> list[Step]:
    """A walk of a tick every two seconds, 2.2 hours."""
    chance = np.random.default_rng(5)
    price = 60_000.0 * np.exp(np.cumsum(chance.normal(0.0, 0.0005, rows)))
    ts_ns = START_NS + np.arange(rows) * 2 * SECOND_NS
    return [
        Step(
            first=a,
            end=a + block,
            tables=(
                Marks(
                    sequence=np.arange(a, a + block),
                    symbol=0,
                    ts_ns=ts_ns[a : a + block],
                    price=price[a : a + block],
                ),
            ),
        )
        for a in range(0, rows, block)
    ]


def replayed(spec: EngineSpec) -> tuple[list[Event], Engine]:
    engine, events = Engine(spec), []
    for step in steps():
        events += engine.process(step).events
    events += engine.finish().events
    engine.ledger.check()
    return events, engine


def asked(policy: Policy, **market: float) -> SetLeverage:
    view = View(
        MarketView(START_NS, 100.0, 100.0, 100.0, **market),  # type: ignore[arg-type]
        PositionView(nav=1.0, exposure=0.0, leverage=0.0, target=0.0),
        START_NS - 1,
    )
    decision, _ = policy.decide(view, policy.initial_state())
    assert isinstance(decision, SetLeverage)
    return decision


# Asking -------------------------------------------------------------------------------

TWO = "class Mine:\n    def target(self, market, position):\n        return 2.0\n"


def test_constant_target_is_the_built_in_one(tmp_path: Path) -> None:
    """A class that always answers 2 does, to the last unit, what the built-in ``constant`` does."""
    mine, theirs = loaded(tmp_path, TWO), Constant(target=2.0)
    ours, by_user = replayed(a_spec(mine))
    wanted, by_constant = replayed(a_spec(theirs))
    assert [_numbers(e) for e in ours] == [_numbers(e) for e in wanted]
    assert sum(isinstance(event, Rebalanced) for event in ours) > 100
    assert by_user.ledger.balances == by_constant.ledger.balances
    assert not any(isinstance(event, PolicyFaulted) for event in ours)


def _numbers(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__ if name != "reason"}


def test_review_of_the_class_and_of_the_configuration(tmp_path: Path) -> None:
    """The class says how often it is asked, and a configuration overrules it."""
    body = TWO.replace("class Mine:\n", 'class Mine:\n    review = "10s"\n')
    assert loaded(tmp_path, body).review_ns == 10 * SECOND_NS  # type: ignore[attr-defined]
    name = f"{a_file(tmp_path, body)}:Mine"
    quick = load_policy(name, {}, review_ns=SECOND_NS)
    assert quick.review_ns == SECOND_NS  # type: ignore[attr-defined]
    assert loaded(tmp_path, TWO).review_ns == 60 * SECOND_NS  # type: ignore[attr-defined]
    wrong = a_file(tmp_path, body.replace("10s", "often"), "p9.py")
    assert 'Mine.review must be a duration such as "10s"' in refusal(f"{wrong}:Mine")


REMEMBERS = """
class Mine:
    def __init__(self, base: float = 1.0):
        self.base = base
        self.calls = 0
        self.seen = []

    def target(self, market, position):
        self.calls += 1
        self.seen.append(round(market.mark, 1))
        return self.base + (self.calls % 5) * 0.25 + (0.1 if market.trend > 0 else 0.0)
"""


def test_memory_is_part_of_the_state(tmp_path: Path) -> None:
    """What a class remembers is in the snapshot, and engines that share the object share no
    memory."""
    spec = a_spec(loaded(tmp_path, REMEMBERS))
    whole, first = replayed(spec)
    engine, events = Engine(spec), []
    for step in steps():
        events += engine.process(step).events
        engine = restore(spec, snapshot(engine))
    events += engine.finish().events
    assert [_numbers(e) for e in events] == [_numbers(e) for e in whole]
    assert engine.digest() == first.digest()
    assert replayed(spec)[0] == whole
    assert sum(isinstance(event, Rebalanced) for event in whole) > 100


SLOTS = """
class Base:
    __slots__ = ("calls", "__dict__")

class Mine(Base):
    __slots__ = ("base", "seen", "late")

    def __init__(self):
        self.calls, self.base, self.seen, self.free = 0, 1.0, [], 0

    def target(self, market, position):
        self.calls, self.free, self.late = self.calls + 1, self.free + 2, float("nan")
        self.seen.append(round(market.mark, 1))
        return self.base + self.calls % 5 * 0.25 + self.free % 4 * 0.1 + len(self.seen) % 3 * 0.1
"""
STRUCT_THAT_REMEMBERS = """
from msgspec import Struct, field

class Mine(Struct):
    base: float = 1.0
    calls: int = 0
    seen: list[float] = field(default_factory=list)

    def target(self, market, position):
        self.calls += 1
        self.seen.append(round(market.mark, 1))
        return self.base + self.calls % 5 * 0.25 + len(self.seen) % 3 * 0.1
"""


@pytest.mark.parametrize("body", [SLOTS, STRUCT_THAT_REMEMBERS])
def test_slots_are_memory_too(body: str, tmp_path: Path) -> None:
    """What a class keeps in slots, and a struct in its fields, is in the snapshot; what is no
    number, too. Catches a run that goes on otherwise after a restore, and engines that share."""
    spec = a_spec(loaded(tmp_path, body))
    whole, first = replayed(spec)
    engine, events = Engine(spec), []
    for step in steps():
        events += engine.process(step).events
        engine = restore(spec, snapshot(engine))
    events += engine.finish().events
    assert not any(isinstance(event, PolicyFaulted) for event in whole)
    assert sum(isinstance(event, Rebalanced) for event in whole) > 100
    assert [_numbers(e) for e in events] == [_numbers(e) for e in whole]
    assert engine.digest() == first.digest()
    assert replayed(spec)[0] == whole


@pytest.mark.parametrize(
    "kept", ["(n for n in range(9))", "map(print, [lambda: 1])", "zip([1], [lambda: 1])"]
)
def test_an_iterator_is_no_memory(kept: str, tmp_path: Path) -> None:
    """Nobody can say where it stands. Catches a run that two engines share."""
    body = TWO.replace("class Mine:\n", f"class Mine:\n    def __init__(self): self.on = {kept}\n")
    assert "Mine keeps self.on, " in refusal(f"{a_file(tmp_path, body)}:Mine")


@pytest.mark.parametrize(
    ("base", "where"),
    [
        *((kind, "builtins") for kind in ("list", "dict", "set", "bytearray")),
        *((kind, "collections") for kind in ("deque", "OrderedDict", "Counter")),
        ("Random", "random"),
    ],
)
def test_a_class_that_is_a_container_is_refused(base: str, where: str, tmp_path: Path) -> None:
    """What it keeps in itself no snapshot holds. Catches a product that goes on otherwise once it
    is restored, of which only a check ever told."""
    body = f"from {where} import {base}\n" + TWO.replace("class Mine:", f"class Mine({base}):")
    said = refusal(f"{a_file(tmp_path, body)}:Mine")
    assert re.search(r"Mine is a \w+: a snapshot cannot hold what it keeps in itself", said)


def test_a_class_whose_items_are_an_attribute_is_none(tmp_path: Path) -> None:
    """``UserList`` keeps them in ``data``, and a number changes never: both are seen."""
    for base, where in (("UserList", "collections"), ("float", "builtins")):
        body = f"from {where} import {base}\n" + TWO.replace("class Mine:", f"class Mine({base}):")
        assert load_policy(f"{a_file(tmp_path, body)}:Mine", {}) is not None


ODD = {
    "return Odd(2.0)": "Mine.target raised OSError: no number today",
    "raise Loud()": "Mine.target raised Loud: its message raised Loud",
    "raise BaseException('x')": "Mine.target raised BaseException: x",
    "return __import__('decimal').Decimal(2)": "Mine.target returned Decimal",
    "return 10**400": "Mine.target returned inf",
    "return __import__('numpy').array([2.0])": "Mine.target returned ndarray",
    "return __import__('statistics').mean([])": "Mine.target raised StatisticsError",
    "self.said = 'a\\ud800'; return 2.0": "Mine.explain gave 'a\\ud800'; it cannot be written",
    "self.said = Odd(1); return 2.0": "",
    "self.said = self; return 2.0": "Mine.explain raised OSError: no text today",
    "self.big = 2**64; return 2.0": "Mine changed self.big, int",
    "self.text = '\\udcff'; return 2.0": "Mine changed self.text, str",
    "self.all = self.all if hasattr(self, 'all') else []; self.all.append(self.all); return 2.0": (
        "Mine changed self.all, list"
    ),
    "from engine.exact import log2; return log2(-1.0)": "raised ValueError: log2 needs a finite",
    "self.pair = (1, 2); return 2.0": "Mine changed self.pair, tuple",
    "self.one = __import__('numpy').float64(1); return 2.0": "Mine changed self.one, float64",
    "self.bag = {1, 2}; return 2.0": "Mine changed self.bag, set",
}


@pytest.mark.parametrize("body", ODD)
def test_odd_answers_of_a_small_class(body: str, tmp_path: Path) -> None:
    """Each is a fault in a sentence, the same in every run, or an answer. Catches what ends a run,
    and what a snapshot cannot hold."""
    text = (
        "class Odd(float):\n    def __float__(self): raise OSError('no number today')\n"
        "class Loud(Exception):\n    def __str__(self): raise self\n"
        "class Mine:\n    said = 'x'\n"
        "    def __str__(self): raise OSError('no text today')\n"
        f"    def target(self, market, position):\n        {body}\n"
        "    def explain(self): return self.said\n"
    )
    policy = loaded(tmp_path, text.replace("self.said =", "type(self).said ="))
    if not ODD[body]:
        assert asked(policy).target == 2.0
        return
    said = faulted(policy)
    assert ODD[body] in said
    if "raised" in said:
        assert "(at p1.py:" in said


def test_memory_that_no_snapshot_holds(tmp_path: Path) -> None:
    """A class that changes what a snapshot cannot hold is faulted, with the attribute's name."""
    body = (
        "import random\nclass Mine:\n    def __init__(self):\n   "
        "     self.dice = random.Random(1)\n"
        "    def target(self, market, position):\n        return self.dice.random()\n"
    )
    assert "Mine changed self.dice, Random" in faulted(loaded(tmp_path, body))


def faulted(policy: Policy) -> str:
    faults = [event for event in replayed(a_spec(policy))[0] if isinstance(event, PolicyFaulted)]
    assert len(faults) == 1
    assert faults[0].policy == "Mine"
    return faults[0].error


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "float('nan')",
            "Mine.target returned nan at 2023-11-14T22:13:20.000000000Z; it must be finite",
        ),
        (
            "None",
            "Mine.target returned NoneType None at 2023-11-14T22:13:20.000000000Z; it must return",
        ),
        ("'3'", "Mine.target returned str '3'"),
        ("True", "Mine.target returned bool True"),
        (
            "12",
            "Mine.target returned 12.0 at 2023-11-14T22:13:20.000000000Z, outside the product's",
        ),
        ("1 / market.ewma_vol", "Mine.target raised ZeroDivisionError: float division by zero"),
    ],
)
def test_answers_that_are_no_leverage(answer: str, expected: str, tmp_path: Path) -> None:
    """A wrong answer names the class, the value, the time and the market then; the engine lives."""
    body = f"class Mine:\n    def target(self, market, position):\n        return {answer}\n"
    error = faulted(loaded(tmp_path, body))
    assert expected in error
    if "returned nan" in error:
        assert "Market then: mark=59975.9" in error
        assert "(a division by ewma_vol?)" in error
    if "raised" in error:
        assert "p1.py:3" in error


def test_numpy_numbers_and_ints_are_leverages(tmp_path: Path) -> None:
    """Whole numbers and numpy's floats are numbers, too."""
    body = (
        "import numpy as np\nclass Mine:\n    def target(self, m, "
        "p):\n        return np.float32(1.5)\n"
    )
    decision = asked(loaded(tmp_path, body))
    assert decision.target == 1.5
    assert type(decision.target) is float
    assert asked(loaded(tmp_path, TWO.replace("2.0", "2"))).target == 2.0


def test_explain_is_the_reason(tmp_path: Path) -> None:
    """What ``explain`` says is the reason of the decision."""
    assert asked(loaded(tmp_path, TWO)).reason == "Mine says 2"
    body = TWO + "    def explain(self):\n        return 'because'\n"
    assert asked(loaded(tmp_path, body)).reason == "because"


# Parameters ---------------------------------------------------------------------------

PARAMETERS = """
class Mine:
    def __init__(self, base: float = 3.0, *, times: int = 1, name: str = "x", free=None):
        self.base, self.times = base, times

    def target(self, market, position):
        return self.base * self.times
"""


def test_parameters_are_checked(tmp_path: Path) -> None:
    """Constructor arguments are the parameters: texts become numbers, wrong ones are named."""
    assert asked(loaded(tmp_path, PARAMETERS, base="1.5", times=2)).target == 3.0
    name = f"{tmp_path / 'p1.py'}:Mine"
    assert "Mine: base: Expected `float`, got `str`, was 'fast'" in refusal(name, base="fast")
    assert "Mine has no parameter 'bsae'; did you mean \"base\"?" in refusal(name, bsae=1)
    needs = a_file(tmp_path, PARAMETERS.replace("float = 3.0", "float"), "p2.py")
    assert "Mine needs base" in refusal(f"{needs}:Mine")
    raises = a_file(
        tmp_path, PARAMETERS.replace("self.base, self", "1 / 0; self.base, self"), "p3.py"
    )
    error = refusal(f"{raises}:Mine")
    assert "Mine could not be made: ZeroDivisionError" in error
    assert "p3.py:4" in error


def test_dataclasses_and_postponed_annotations(tmp_path: Path) -> None:
    """Parameters of a dataclass with postponed annotations are checked, too."""
    body = (
        "from __future__ import annotations\nfrom dataclasses import "
        "dataclass\n@dataclass\nclass Mine:\n"
        "    base: float = 1.0\n    def target(self, market, position):\n        return self.base\n"
    )
    assert asked(loaded(tmp_path, body, base="2.5")).target == 2.5
    assert "Expected `float`" in refusal(f"{tmp_path / 'p1.py'}:Mine", base="fast")


DATED = """
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Literal, Optional

class Side(Enum):
    LONG = "long"
    SHORT = "short"

class Mine:
    def __init__(self, value: {kind} = None):
        self.said = repr(value)

    def target(self, market, position):
        return 1.0

    def explain(self):
        return self.said
"""
ANNOTATED = {
    "date": ("2026-01-15", "datetime.date(2026, 1, 15)"),
    "datetime": ("2026-01-15T10:00:00+02:00", "timezone(datetime.timedelta(seconds=7200))"),
    "Optional[datetime]": ("2026-01-15 10:00:00", "datetime.datetime(2026, 1, 15, 10, 0)"),
    "date | datetime | None": ("2026-01-15T10:00:00Z", "tzinfo=datetime.timezone.utc)"),
    "datetime | date": ("2026-01-15", "date(2026, 1, 15)"),
    "list[date]": ("[2026-01-15, 2026-01-16]", "date(2026, 1, 16)]"),
    "dict[str, date]": ("{ a = 2026-01-15 }", "{'a': "),
    "time": ("10:30:00", "time(10, 30)"),
    "str": ("2026-01-15", "'2026-01-15'"),
    "object": ("2026-01-15", "'2026-01-15'"),
    "timedelta": ("90", "timedelta(seconds=90)"),
    "tuple[float, int]": ("[1, 2]", "(1.0, 2)"),
    "Literal['a', 2]": ("'a'", "'a'"),
    "Side": ("'short'", "<Side.SHORT: 'short'>"),
    "Optional[float]": ("1", "1.0"),
    "bool": ("true", "True"),
    "float | Side": ("'long'", "<Side.LONG: 'long'>"),
}


@pytest.mark.parametrize("kind", ANNOTATED)
@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("way", ["toml", "policy", "set"])
def test_parameters_of_every_kind(kind: str, way: str, isolate: bool, tmp_path: Path) -> None:
    """A value of TOML, dates among them, reaches a class as its annotation has it: from a file and
    from ``--set``, in our process and in one of its own, and again from what the run directory
    holds. Catches a date that is a text, one without its offset, and one that another process takes
    for another class."""
    value, shown = ANNOTATED[kind]
    file, params = a_file(tmp_path, DATED.format(kind=kind)), f"value = {value}"
    config = tmp_path / "c.toml"
    policy = f'{{ type = "user", path = "{file}:Mine", isolate = {str(isolate).lower()} }}'
    sets = [f"products.0.policies.0.params.{params}"]
    if way == "toml":
        policy, sets = policy.replace(" }", f", params = {{ {params} }} }}"), []
    config.write_text(f'[[products]]\nid = "P"\nsymbol = "BTCUSDT"\npolicies = [{policy}]\n')
    found = load_config(config, sets)
    if way == "policy":
        sets = [f"policy.{params}", f"policy.isolate={str(isolate).lower()}"]
        found = load_config(config, sets, policy=f"{file}:Mine")
    again = tmp_path / "again.toml"
    again.write_text(resolved_toml(found))
    for each in (found, load_config(again)):
        (own,) = (p for p in each.products[0].policies if isinstance(p, UserPolicyConfig))
        assert own.isolate == isolate
        made = isolated_policy if isolate else load_policy
        policy_made: Any = made(own.path, own.params)
        try:
            assert shown in asked(policy_made).reason
        finally:
            if isolate:
                policy_made.close()


def test_a_wrong_date_is_named(tmp_path: Path) -> None:
    """With what was wanted, and the line of the class."""
    file = a_file(tmp_path, DATED.format(kind="date"))
    assert "Mine: value: Invalid RFC3339 encoded date, was '2026-01-99'" in refusal(
        f"{file}:Mine", value="2026-01-99"
    )
    either = a_file(tmp_path, DATED.format(kind="date | datetime | None"), "p2.py")
    wanted = "Expected `datetime.date | datetime.datetime | None`, got `str`, was '2026-01-99'"
    assert wanted in refusal(f"{either}:Mine", value="2026-01-99")


# Finding ------------------------------------------------------------------------------


def test_unknown_name() -> None:
    """An unknown name lists what there is, the nearest first."""
    error = refusal("trend-vl")
    assert error.startswith(
        "unknown policy 'trend-vl'. Did you mean 'trend_vol'?\n  built in: leverage_band"
    )
    assert "FILE.py:CLASS" in error


SHY = """
class M(type):
    def __getattribute__(cls, name):
        if name == "review":
            raise OSError(name)
        return type.__getattribute__(cls, name)

class Mine(metaclass=M):
    def target(self, market, position):
        return 1.0
"""
HIDDEN = """
class Mine:
    def __getattribute__(self, name):
        raise OSError(name)

    def target(self, market, position):
        return 1.0
"""
RARELY = TWO.replace("class Mine:", "class Mine:\n    review = '99999999d'")
UNUSABLE = {
    "metaclass": (SHY, "OSError: review"),
    "attributes": (HIDDEN, "OSError: __dict__"),
    "function in C": ("class Mine:\n    target = max\n", "must be a plain method target"),
    "review": (RARELY, "a hundred years"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_what_cannot_be_used_is_refused(how: str, tmp_path: Path) -> None:
    """Whatever a class does when it is looked at. Catches an exception that is taken for ours, and
    an alarm that no snapshot holds."""
    body, said = UNUSABLE[how]
    assert said in refusal(f"{a_file(tmp_path, body)}:Mine")


def test_what_it_prints_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While it is imported and made it prints to stderr. Catches ``--json`` that is no JSON."""
    body = "print('hello')\n" + TWO.replace(
        "    def", "    def __init__(self): print('x')\n    def"
    )
    loaded(tmp_path, body)
    assert capsys.readouterr() == ("", "hello\nx\n")


def test_not_found_and_broken_are_told_apart(tmp_path: Path) -> None:
    """A file that is not there, a class that is not there, and code that is broken each say so."""
    good = a_file(tmp_path, TWO.replace("Mine", "Fast"), "good.py")
    assert f"{good} has no class 'Fst'. Did you mean 'Fast'? Classes there: Fast" in refusal(
        f"{good}:Fst"
    )
    assert "which class?" in refusal(good)
    missing = refusal(f"{tmp_path / 'god.py'}:Fast")
    assert missing.startswith("no such file")
    assert f"Did you mean '{good}'?" in missing
    syntax = a_file(tmp_path, "class A:\n    def f(self)\n        pass\n", "s.py")
    assert refusal(f"{syntax}:A") == (
        f"could not import {syntax}: SyntaxError: expected ':'\n  at {syntax}:2"
    )
    imports = a_file(tmp_path, "\nimport nothere\n", "i.py")
    assert refusal(f"{imports}:A") == (
        f"could not import {imports}: ModuleNotFoundError: No module "
        f"named 'nothere'\n  at {imports}:2"
    )
    assert "no module 'nosuchpackage'" in refusal("nosuchpackage.mod:A")


def test_signature(tmp_path: Path) -> None:
    """``target`` must take the market and the position; what it takes is shown with its line."""
    body = "class Mine:\n\n    def target(self, market):\n        return 1\n"
    file = a_file(tmp_path, body)
    error = refusal(f"{file}:Mine")
    assert error == f"Mine.target must take (market, position); yours takes (market)\n  at {file}:3"
    none = a_file(tmp_path, "class Mine:\n    def traget(self, m, p):\n        return 1\n", "n.py")
    assert "has no method target(market, position). Did you mean 'traget'?" in refusal(
        f"{none}:Mine"
    )
    late = a_file(
        tmp_path, "class Mine:\n    async def target(self, m, p):\n        return 1\n", "l.py"
    )
    assert "must be a plain method" in refusal(f"{late}:Mine")


def test_module_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``package.module:Class`` is found in the working folder, and the path is left as it was."""
    a_file(tmp_path, TWO, "levsim_test_module.py")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert asked(load_policy("levsim_test_module:Mine", {})).target == 2.0
    assert sys.path == before
    assert not (tmp_path / "__pycache__").exists()


FULL = """
from engine.policy import Nothing, SetLeverage
from engine.watch import Watch

class Mine:
    uses_signals = uses_high_water = de_risking = False

    def __init__(self, target: float = 2.0):
        self.target = target

    def initial_state(self):
        return Nothing()

    def watch(self, view, state):
        return Watch()

    def decide(self, view, state):
        return SetLeverage(self.target, "mine"), state
"""


def test_full_interface_is_taken_as_it_is(tmp_path: Path) -> None:
    """A class with ``watch`` and ``decide`` is used itself; what it lacks is named."""
    policy = loaded(tmp_path, FULL, target="1.5")
    assert getattr(policy, "name", "") == "Mine"
    events, engine = replayed(a_spec(policy))
    assert not any(isinstance(event, PolicyFaulted) for event in events)
    assert engine.markets[0].handlers[0].account.lots > 0
    lacks = a_file(tmp_path, FULL.replace("uses_signals = ", ""), "p2.py")
    assert "has watch and decide, and lacks uses_signals" in refusal(f"{lacks}:Mine")


STRUCT = """
from __future__ import annotations
from typing import ClassVar
from msgspec import Struct
from engine.policy import Nothing, SetLeverage, leverage_watch

class Mine(Struct, frozen=True, kw_only=True):
    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float = 2.0

    def initial_state(self):
        return Nothing()

    def watch(self, view, state):
        return leverage_watch(view, 1.9, 2.1, 1.0)

    def decide(self, view, state):
        if 1.9 < view.position.leverage < 2.1:
            return None, state
        return SetLeverage(self.target, "mine"), state
"""


def test_a_frozen_struct_is_a_full_policy(tmp_path: Path) -> None:
    """A user's struct does what the built-in band with its numbers does. Catches parameters of a
    struct that are not seen."""
    policy = loaded(tmp_path, STRUCT, target="2")
    events, _ = replayed(a_spec(policy))
    band = LeverageBand(target=2.0, low=1.9, high=2.1)
    wanted, _ = replayed(a_spec(band))
    assert [_numbers(e) for e in events] == [_numbers(e) for e in wanted]
    assert "Mine has no parameter 'tagret'" in refusal(f"{tmp_path / 'p1.py'}:Mine", tagret=1)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("return Watch()", "return 3", "Mine.watch returned int 3"),
        ("return Watch()", "return Watch(low=float('nan'))", "its edges must be prices"),
        ("return Watch()", "return view.nothing", "Mine.watch raised AttributeError"),
        ('SetLeverage(self.target, "mine"), state', "None", "it must return a pair"),
        ('SetLeverage(self.target, "mine")', "3.0", "it must return one of SetLeverage"),
        ("self.target,", "float('nan'),", "Mine.decide returned nan"),
        ("self.target,", "1 / 0,", "Mine.decide raised ZeroDivisionError: division by zero"),
        ("self.target,", "99,", "outside the product's limits"),
    ],
)
def test_faults_of_the_full_interface(old: str, new: str, expected: str, tmp_path: Path) -> None:
    """Each wrong answer is a fault in a sentence, with the user's line where something was raised.
    Catches an answer that goes through to the engine."""
    error = faulted(loaded(tmp_path, FULL.replace(old, new)))
    assert expected in error
    if "raised" in error:
        assert "(at p1.py:" in error


def test_a_first_state_must_be_kept(tmp_path: Path) -> None:
    """What no snapshot can hold is refused before the run. Catches a run that ends at its first
    snapshot."""
    file = a_file(tmp_path, FULL.replace("return Nothing()", "return object()"))
    assert "Mine.initial_state must return what a snapshot can hold" in refusal(f"{file}:Mine")


def test_clamped_answers(tmp_path: Path) -> None:
    """Beyond the limit is the limit, with its sign; what is no number stays a fault. Catches a
    clamp that turns the sign."""
    for body in (TWO.replace("2.0", "-50"), FULL.replace("self.target,", "-50,")):
        name = f"{a_file(tmp_path, body)}:Mine"
        assert asked(load_policy(name, {}, limit=4.0, clamp=True)).target == -4.0
    nan = f"{a_file(tmp_path, TWO.replace('2.0', 'float(chr(110) + chr(97) + chr(110))'))}:Mine"
    with pytest.raises(PolicyAnswerError, match="must be finite"):
        asked(load_policy(nan, {}, clamp=True))


def test_an_installed_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution's entry point is a name; one that is broken says so. Catches a group that is
    spelt otherwise."""
    meta = tmp_path / "vol_plug-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: vol-plug\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(
        "[levsim.policies]\nvol-plug = levsim_test_plugged:Mine\ngone = levsim_test_gone:Mine\n"
        "number = levsim_test_plugged:NUMBER\n"
    )
    a_file(tmp_path, PARAMETERS + "\nNUMBER = 3\n", "levsim_test_plugged.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plug_ins()["vol-plug"] == "levsim_test_plugged:Mine"
    assert asked(load_policy("vol-plug", {"base": "1.5"})).target == 1.5
    assert "Did you mean 'vol-plug'?" in refusal("vol-pulg")
    assert "could not import plug-in gone" in refusal("gone")
    assert "is no class" in refusal("number")


def test_names() -> None:
    """Built-in names take a dash or an underscore; a file is recognised by its ending."""
    assert built_in_name("trend-vol") == "trend_vol"
    assert built_in_name("mine.py:Mine") is None
    assert policy_file("a/b.py:C") == Path("a/b.py")
    assert policy_file("a.b:C") is None
    assert isinstance(plug_ins(), dict)
