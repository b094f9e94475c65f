"""Configs saved by transformers 5, said again in the words of transformers 4.

Version 4 ignores `rope_parameters`, takes its own default as the base of the rotary embedding, and loads the model
without an error: every position is then rotated by wrong angles. So the base is translated here, a config that
cannot be translated is refused, and a loaded model is checked for the base it should have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from signalbox.bundles.export.checkpoint import Checkpoint

_FLAT = {"qwen2", "qwen3", "qwen3_moe", "llama", "mistral"}  # one base for all layers
_BY_LAYER = {"modernbert"}  # one for full attention, one for the sliding window
_WITHOUT = {"bert", "roberta", "xlm-roberta", "distilbert", "camembert"}  # positions are learned
SUPPORTED = _FLAT | _BY_LAYER | _WITHOUT

_TRAINING = ("_attn_implementation", "attn_implementation", "reference_compile", "use_cache")
"""How somebody ran the model: kernels that this machine need not have, and no cache of keys and values."""

_SCALING = {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "truncate"}
_SCALING |= {"low_freq_factor", "high_freq_factor", "short_factor", "long_factor", "mscale", "mscale_all_dim"}
_BASE, _TYPE = "rope_theta", "rope_type"


def normalised(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the config for transformers 4. Raises BundleError for one whose rotary embedding it cannot express."""
    config = dict(checkpoint.config)
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    kind = config.get("model_type")
    for name in _TRAINING:
        config.pop(name, None)
    parameters = config.pop("rope_parameters", None)
    if kind in _WITHOUT:
        return config
    if kind in _BY_LAYER:
        return _by_layer(checkpoint, config, parameters)
    if kind in _FLAT:
        return _flat(checkpoint, config, parameters)
    raise checkpoint.refuse(
        f"model_type: {kind!r}", expected=f"one of {', '.join(sorted(SUPPORTED))}", fix="serve the model instead"
    )


def _flat(checkpoint: Checkpoint, config: dict[str, Any], parameters: Any) -> dict[str, Any]:
    if parameters is None:
        _refuse_silent(checkpoint, ("rope_theta",))
        return config
    base, scaling = _read(checkpoint, parameters, "rope_parameters")
    _refuse_contradiction(checkpoint, {"rope_theta": base})
    config["rope_theta"] = base
    if scaling:
        config["rope_scaling"] = scaling
    return config


def _by_layer(checkpoint: Checkpoint, config: dict[str, Any], parameters: Any) -> dict[str, Any]:
    period = _full_attention_period(checkpoint)
    if period is not None:
        config["global_attn_every_n_layers"] = period
    if parameters is None:
        _refuse_silent(checkpoint, ("global_rope_theta", "local_rope_theta"))
        return config
    if not isinstance(parameters, Mapping) or set(parameters) != {"full_attention", "sliding_attention"}:
        raise checkpoint.refuse(
            f"rope_parameters: {parameters!r}", expected="an object with full_attention and sliding_attention"
        )
    whole, scaling = _read(checkpoint, parameters["full_attention"], "rope_parameters.full_attention")
    local, local_scaling = _read(checkpoint, parameters["sliding_attention"], "rope_parameters.sliding_attention")
    if scaling != local_scaling:
        raise checkpoint.refuse(
            f"rope_parameters: full attention scaled by {scaling}, sliding attention by {local_scaling}",
            expected="the same scaling for both: transformers 4 has one",
        )
    _refuse_contradiction(checkpoint, {"global_rope_theta": whole, "local_rope_theta": local})
    config |= {"global_rope_theta": whole, "local_rope_theta": local}
    if scaling:
        config["rope_scaling"] = scaling
    return config


def _read(checkpoint: Checkpoint, parameters: Any, where: str) -> tuple[float, dict[str, Any]]:
    """Return the base, and the scaling in version 4's words; empty without one."""
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get(_BASE), int | float):
        raise checkpoint.refuse(f"{where}: {parameters!r}", expected="an object with a number as rope_theta")
    kind = parameters.get(_TYPE, "default")
    rest = {name: value for name, value in parameters.items() if name not in (_BASE, _TYPE) and value is not None}
    unknown = rest.keys() - _SCALING
    if unknown or (kind == "default" and rest):
        name = sorted(unknown or rest)[0]
        raise checkpoint.refuse(
            f"{where}.{name}: {rest[name]!r} with rope_type {kind!r}",
            expected="parameters that transformers 4 has for this type",
            fix="serve the model instead, or save it again with transformers 4",
        )
    return float(parameters[_BASE]), {} if kind == "default" else {_TYPE: kind, **rest}


def _refuse_contradiction(checkpoint: Checkpoint, bases: Mapping[str, float]) -> None:
    for name, base in bases.items():
        stated = checkpoint.config.get(name)
        if stated is not None and float(stated) != base:
            raise checkpoint.refuse(
                f"{name}: {stated}, while rope_parameters say {base:g}",
                expected="one base",
                fix="ask whoever published the model which one it was trained with, and remove the other",
            )


def _refuse_silent(checkpoint: Checkpoint, names: tuple[str, ...]) -> None:
    """Refuse a config that leaves the base to a default: the defaults of two versions need not agree."""
    silent = [name for name in names if checkpoint.config.get(name) is None]
    if silent and _major(checkpoint.config) >= 5:
        raise checkpoint.refuse(
            f"no rope_parameters and no {silent[0]}, in a config saved by transformers 5",
            expected="the base of the rotary embedding",
            fix=f"add {silent[0]} as the model was trained",
        )


def _major(config: Mapping[str, Any]) -> int:
    first = str(config.get("transformers_version", "")).partition(".")[0]
    return int(first) if first.isdecimal() else 0


def _full_attention_period(checkpoint: Checkpoint) -> int | None:
    """Return how many layers apart full attention is: version 5 lists the layers, version 4 has this number."""
    listed = checkpoint.config.get("layer_types")
    if not listed:
        return None
    whole = [at for at, kind in enumerate(listed) if kind == "full_attention"]
    period = whole[1] if len(whole) > 1 else len(listed)
    if listed != ["sliding_attention" if layer % period else "full_attention" for layer in range(len(listed))]:
        raise checkpoint.refuse(
            f"layer_types: {listed}",
            expected="full attention in the first layer and in every n-th after it: transformers 4 has nothing else",
        )
    stated = checkpoint.config.get("global_attn_every_n_layers", period)
    if stated != period:
        raise checkpoint.refuse(f"global_attn_every_n_layers: {stated}", expected=f"{period}, by layer_types")
    return period


def bases(model: Any) -> Iterator[tuple[str, float]]:
    """Yield (module, base) of each rotary embedding of a loaded model that is not scaled, from its own angles.

    angle i is base ** (-2i / dims), so the second one gives the base away.
    """
    for name, module in model.named_modules():
        angles = getattr(module, "inv_freq", None)
        if angles is None or getattr(module, "rope_type", "default") != "default" or len(angles) < 2:
            continue
        yield name, float(angles[1]) ** -len(angles)


def check_bases(checkpoint: Checkpoint, config: Mapping[str, Any], model: Any) -> None:
    """Raise BundleError if a loaded model rotates by another base than its config says."""
    wanted = [config[name] for name in ("rope_theta", "global_rope_theta", "local_rope_theta") if config.get(name)]
    if not wanted:
        return
    for name, base in bases(model):
        if not any(abs(base / float(each) - 1) < 1e-2 for each in wanted):
            raise checkpoint.refuse(
                f"{name} was loaded with base {base:.6g}",
                expected=" or ".join(f"{float(each):g}" for each in wanted),
                fix="report this with the version of transformers that is installed",
            )
