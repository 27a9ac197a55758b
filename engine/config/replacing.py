"""``--policy``: another policy in the place of the dynamic ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.config.complaints import complaint
from engine.config.settings import PolicyConfig, RunConfig, UserPolicyConfig, duration_ns
from engine.config.toml_text import toml_value
from engine.errors import ConfigError
from engine.policy import Policy
from strategies.user import BUILT_IN, built_in_name, load_policy

__all__ = ["isolated", "made_policy", "policy_settings", "with_policy"]

_OF_USERS: Final = ("review", "on_out_of_range", "isolate", "answer_within", "memory_mb")
"""Settings of a user's policy beside its own parameters."""


def with_policy(config: RunConfig, name: str, settings: dict[str, Any]) -> RunConfig:
    """The dynamic policies replaced by the one of that name.

    In every product a policy that reads the market's signals or the high-water mark, or a user's
    own, gives way. What was ``...-SMART-S`` in the
    line-up leaves it: the sign comes from the policy's own answers, so the pair would be the same
    product twice.

    Args:
        name: built-in name, ``FILE.py:Class``, ``package.module:Class`` or an installed plug-in.
        settings: the policy's own parameters, and ``review``.

    Raises:
        ConfigError: if no product has a policy that could give way.
    """
    policy = _policy(name, settings)
    kept = []
    for product in config.products:
        dynamic = [_is_dynamic(p) for p in product.policies]
        short = [p for p in product.policies if _is_dynamic(p) and _direction(p) < 0]
        twin = product.id.replace("-SMART-S", "-SMART-L")
        if short and twin != product.id and any(p.id == twin for p in config.products):
            continue
        policies = [p for p, gone in zip(product.policies, dynamic, strict=True) if not gone]
        if any(dynamic):
            policies.insert(dynamic.index(True), policy)
        kept.append(replace(product, policies=tuple(policies)))
    if all(policy not in product.policies for product in kept):
        raise ConfigError(
            f"--policy {name}: no product has a dynamic policy (trend_vol, vol_target, ... "
            "or user) that it could take the place of"
        )
    return replace(config, products=tuple(kept))


def isolated(config: RunConfig) -> RunConfig:
    """Every policy of a user's in a process of its own.

    Raises:
        ConfigError: if there is none: the built-in ones need no wall.
    """
    alone = [
        replace(product, policies=tuple(_alone(policy) for policy in product.policies))
        for product in config.products
    ]
    if not any(isinstance(p, UserPolicyConfig) for product in alone for p in product.policies):
        raise ConfigError("--isolate: no product has a policy of your own")
    return replace(config, products=tuple(alone))


def _alone(policy: PolicyConfig) -> PolicyConfig:
    return replace(policy, isolate=True) if isinstance(policy, UserPolicyConfig) else policy


def made_policy(name: str, sets: Sequence[str], *, limit: float) -> Policy:
    """A policy by its name, with ``policy.KEY=VALUE`` settings, ready to be asked.

    Raises:
        ConfigError, PolicyError: if there is none, or its settings are wrong.
    """
    chosen = _policy(name, policy_settings(sets))
    if not isinstance(chosen, UserPolicyConfig):
        return chosen
    review_ns = None if chosen.review is None else duration_ns(chosen.review)
    clamp = chosen.on_out_of_range == "clamp"
    return load_policy(chosen.path, chosen.params, review_ns=review_ns, limit=limit, clamp=clamp)


def policy_settings(sets: Sequence[str]) -> dict[str, Any]:
    """The settings of ``policy.KEY=VALUE`` texts.

    Raises:
        ConfigError: if one has another shape.
    """
    settings: dict[str, Any] = {}
    for given in sets:
        key, equals, value = given.partition("=")
        name = key.strip().removeprefix("policy.")
        if not equals or not name or "." in name or name == key.strip():
            raise ConfigError(
                f"--set {given}: expected policy.KEY=VALUE, for instance policy.target_vol=0.4"
            )
        settings[name] = toml_value(value.strip())
    return settings


def _is_dynamic(policy: PolicyConfig) -> bool:
    """Whether its leverage moves with what the market or the product did."""
    if isinstance(policy, UserPolicyConfig):
        return True
    return policy.uses_signals or policy.uses_high_water


def _direction(policy: PolicyConfig) -> int:
    direction: int = getattr(policy, "direction", 1)
    return direction


def _policy(name: str, settings: dict[str, Any]) -> PolicyConfig:
    tag = built_in_name(name)
    if tag is None:
        params = dict(settings)
        own: dict[str, Any] = {key: params.pop(key) for key in _OF_USERS if key in params}
        data = {"path": name, **own, "params": params}
        return _converted_policy({"type": "user", **data}, UserPolicyConfig, name)
    return _converted_policy({"type": tag, **settings}, BUILT_IN[tag], name)


def _converted_policy(data: dict[str, Any], model: Any, name: str) -> PolicyConfig:
    try:
        policy: PolicyConfig = msgspec.convert(data, model)
    except msgspec.ValidationError as error:
        said = complaint(error, data, model)
        raise ConfigError(f"--policy {name}: {said.sentence}") from None
    return policy
