"""The command: one process, one or more mock providers, each on its own port."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import IO, TypeVar

from signalbox.errors import SetupError
from signalbox.mock.faults import MAX_SECONDS, parse_fault
from signalbox.mock.provider import MockProvider

Value = TypeVar("Value")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, on this command's parser or on a subcommand's."""
    add = parser.add_argument
    add(
        "--provider",
        action="append",
        required=True,
        metavar="NAME=PORT",
        type=_pair(_port),
        dest="providers",
        help="a provider and its port, 0 for a free one; may be repeated",
    )
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files; all providers then speak HTTPS")
    for flag, metavar, read, text in (
        ("--models", "NAME=MODEL,...", _models, "models a provider serves, 404 for others (default: any)"),
        ("--require-key", "NAME=KEY", str, "the only key a provider takes, 401 for others (default: any)"),
        ("--fault", "NAME=FAULT", _fault, "a fault a provider starts with, for example alpha=503"),
        ("--slots", "NAME=N", _slots, "completions a provider works on at once, others wait (default: any number)"),
    ):
        kind = _pair(read)
        add(flag, action="append", default=[], metavar=metavar, type=kind, help=f"{text}; may be repeated")
    add("--latency", type=_seconds, default=0.0, metavar="SECONDS", help="pause before each answer")
    add("--chunk-gap", type=_seconds, default=0.0, metavar="SECONDS", help="pause between the events of a stream")
    add("--record", metavar="FILE", help="append each request received, as a line of JSON; holds keys and bodies")
    add(
        "--record-limit",
        type=_record_limit,
        default=1000,
        metavar="N",
        help="requests kept in memory (default: %(default)s)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m signalbox.mock`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="signalbox mock", description="Mock providers for language models.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Prints {"provider", "url"} per provider once all of them listen."""
    try:
        with ExitStack() as files:
            record = files.enter_context(_open_private(arguments.record)) if arguments.record else None
            asyncio.run(_serve(_providers(arguments, record)))
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _providers(arguments: argparse.Namespace, record: IO[str] | None) -> list[MockProvider]:
    names = [name for name, _ in arguments.providers]
    for option in ("models", "require_key", "fault", "slots"):
        for name, _ in getattr(arguments, option):
            if name not in names:
                flag = option.replace("_", "-")
                raise SetupError(f"--{flag}: no provider {name!r}\n  expected one of {', '.join(names)}")
    if len(set(names)) < len(names):
        raise SetupError(f"--provider: a name is given twice: {', '.join(names)}\n  fix: name each provider once")
    models, keys = dict(arguments.models), dict(arguments.require_key)
    faults, slots = dict(arguments.fault), dict(arguments.slots)
    tls = _tls_context(*arguments.tls) if arguments.tls else None
    providers = []
    for name, port in arguments.providers:
        provider = MockProvider(
            name,
            host=arguments.host,
            port=port,
            tls=tls,
            models=models.get(name, ()),
            required_key=keys.get(name),
            latency_seconds=arguments.latency,
            slots=slots.get(name),
            chunk_gap_seconds=arguments.chunk_gap,
            record_limit=arguments.record_limit,
            record_file=record,
        )
        provider.set_fault(faults.get(name))
        providers.append(provider)
    return providers


async def _serve(providers: Sequence[MockProvider]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as running:
        for provider in providers:
            await running.enter_async_context(provider)
        for provider in providers:
            print(json.dumps({"provider": provider.name, "url": provider.url}), flush=True)
        await stop.wait()


def _tls_context(certificate: str, private_key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, private_key)
    except OSError as problem:  # ssl.SSLError is one
        raise SetupError(
            f"--tls: cannot use {certificate} with {private_key}: {problem}\n"
            "  expected a PEM certificate chain and its unencrypted private key"
        ) from problem
    return context


def _open_private(path: str) -> IO[str]:
    """The record holds keys and prompts: readable by its owner only."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")
    except OSError as problem:
        raise SetupError(f"--record: cannot append to {path}: {problem.strerror}") from problem


def _pair(read: Callable[[str], Value]) -> Callable[[str], tuple[str, Value]]:
    """An argparse type for NAME=VALUE; `read` raises ArgumentTypeError at a value it cannot use."""

    def parse(text: str) -> tuple[str, Value]:
        name, given, value = text.partition("=")
        if not name or not given:
            raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
        return name, read(value)

    return parse


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535, 0 for a free one")
    return int(text)


def _models(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _fault(text: str) -> str:
    try:
        parse_fault(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return text


def _slots(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of slots; expected 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected 0 to {MAX_SECONDS:g} seconds")
    return value


def _record_limit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of requests; expected 0 or more")
    return int(text)
