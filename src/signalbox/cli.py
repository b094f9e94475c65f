"""The `signalbox` command. Each subcommand parses its words and calls one function elsewhere.

Exit status: 0 fine, 1 something is wrong with what was given, 2 the words themselves are off.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from signalbox import __version__
from signalbox.errors import BundleError, DataError, PolicyError, RequestError, RouterError, SetupError

# Imports of what a command needs happen inside the command: `signalbox check` should not wait for gRPC.


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words).parse_args(words)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (SetupError, PolicyError, BundleError, RouterError, DataError) as problem:
        print(f"signalbox: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="signalbox", description="The routing brain beside Envoy.")
    parser.add_argument("--version", action="version", version=f"signalbox {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="run Envoy, the sidecar and mock or real providers on this machine")
    up.add_argument("--policy", type=Path, metavar="FILE", help="route by this policy; default: made for what is here")
    up.add_argument("--port", type=_port, default=10000, metavar="N", help="gateway's port (default 10000)")
    up.add_argument("--api-port", type=_port, default=10080, metavar="M", help="HTTP API's port (default 10080)")
    up.add_argument("--run-dir", type=Path, metavar="DIR", help="keep sockets, configuration and logs here")
    _add_serving(up)
    up.set_defaults(command=_up)

    serve = commands.add_parser("serve", help="run the sidecar beside an Envoy")
    serve.add_argument("--policy", type=Path, required=True, metavar="FILE")
    serve.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="directory shared with Envoy")
    serve.add_argument("--api", type=_address, default=("127.0.0.1", 10080), metavar="HOST:PORT")
    serve.add_argument(
        "--listen", type=_address, metavar="HOST:PORT", help="overrides gateway.address and gateway.port"
    )
    serve.add_argument(
        "--envoy-memory",
        type=_count,
        metavar="BYTES",
        help="limit of Envoy's container; it refuses requests before that is used up (default 2 GiB of heap)",
    )
    serve.add_argument(
        "--front",
        action="store_true",
        help="let Envoy here serve the workers, at the gateway's address, to an Envoy elsewhere",
    )
    _add_serving(serve)
    serve.set_defaults(command=_serve)

    drain = commands.add_parser("drain", help="let the requests of a gateway end, before it is stopped")
    drain.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="directory shared with Envoy")
    drain.add_argument("--seconds", type=_seconds, default=300.0, metavar="N", help="wait no longer (default 300)")
    drain.add_argument(
        "--settle", type=_seconds, default=5.0, metavar="N", help="until others have heard that it leaves (default 5)"
    )
    drain.set_defaults(command=_drain)

    check = commands.add_parser("check", help="report every problem of a policy")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="machine-readable report")
    check.add_argument("--strict", action="store_true", help="warnings fail too")
    check.set_defaults(command=_check)

    envoy = commands.add_parser("envoy", help="Envoy's configuration")
    render = envoy.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "render", help="write bootstrap and xDS files for a policy"
    )
    render.add_argument("--policy", type=Path, required=True, metavar="FILE")
    render.add_argument("--out", type=Path, required=True, metavar="DIR")
    render.add_argument("--workers", type=_count, metavar="N", help="worker sockets to name (default: one per core)")
    render.add_argument(
        "--sidecars", type=_address, metavar="HOST:PORT", help="for an Envoy elsewhere: where `serve --front` listens"
    )
    render.set_defaults(command=_render)

    route = commands.add_parser("route", help="decide for one request body, without sending it anywhere")
    route.add_argument("file", type=Path, metavar="FILE", help="request body (JSON), - for standard input")
    route.add_argument("--policy", type=Path, required=True, metavar="FILE")
    route.add_argument(
        "--endpoint", default="chat_completions", metavar="NAME", help="API call (default chat_completions)"
    )
    route.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="request header")
    route.add_argument("--explain", action="store_true", help="every step, not only the outcome")
    route.add_argument(
        "--router-tokenizer",
        type=Path,
        metavar="FILE",
        help="also say what a router model with this tokenizer.json reads",
    )
    route.add_argument(
        "--router-budget", type=_count, default=512, metavar="N", help="tokens that model reads (default 512)"
    )
    route.set_defaults(command=_route)

    ask = commands.add_parser("ask", help="send one question to a gateway, and say what was decided about it")
    ask.add_argument("text", metavar="TEXT")
    ask.add_argument("--url", default="http://127.0.0.1:10000/v1", metavar="URL", help="the gateway's base URL")
    ask.add_argument("--model", default="auto", metavar="NAME", help="model, alias or router (default auto)")
    ask.add_argument("--timeout", type=_seconds, default=60.0, metavar="N", help="seconds for the answer (default 60)")
    ask.add_argument(
        "--wait", type=_seconds, default=None, metavar="N", help="ask again for so long if it is not ready"
    )
    ask.add_argument("--insecure", action="store_true", help="take any certificate")
    ask.add_argument("--show-answer", action="store_true", help="print what was answered, too")
    ask.set_defaults(command=_ask)

    label = commands.add_parser("label", help="ask a router's engine about each request of a file, to train on")
    label.add_argument("file", type=Path, metavar="FILE", help="one request body (JSON) a line; docs/engines.md")
    label.add_argument("--policy", type=Path, required=True, metavar="FILE")
    label.add_argument("--router", required=True, metavar="NAME", help="router whose engine and tasks are meant")
    label.add_argument("--out", type=Path, required=True, metavar="FILE", help="labels; a run goes on where it ended")
    label.add_argument("--endpoint", default="chat_completions", metavar="NAME", help="API call of the bodies")
    label.add_argument(
        "--deadline", type=_seconds, default=30.0, metavar="SECONDS", help="for each request (default 30)"
    )
    label.add_argument("--most", type=_count, metavar="N", help="ask about N requests at most")
    label.set_defaults(command=_label)

    calibrate = commands.add_parser("calibrate", help="find the threshold for a share, a budget or a quality floor")
    calibrate.add_argument("--policy", type=Path, required=True, metavar="FILE")
    calibrate.add_argument("--router", required=True, metavar="NAME", help="router whose threshold is meant")
    given = calibrate.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=Path, metavar="FILE", help="prompts, one object (JSON) a line; docs/calibrate.md")
    given.add_argument(
        "--journal", type=Path, metavar="DIR", help="requests that came; the policy's `journal.directory`"
    )
    aim = calibrate.add_mutually_exclusive_group(required=True)
    aim.add_argument("--target-share", type=_share, metavar="S", help="share of requests for the strong tier, 0 to 1")
    aim.add_argument("--budget-per-1000", type=_usd, metavar="USD", help="what 1,000 requests may cost")
    aim.add_argument(
        "--quality-floor", type=_share, metavar="Q", help="share of the strong tier's own quality to keep, 0 to 1"
    )
    calibrate.add_argument("--strong", metavar="NAME", help="model in `scores` of the data; default: p_strong")
    calibrate.add_argument("--weak", metavar="NAME", help="likewise; default: p_weak")
    calibrate.add_argument("--deadline", type=_seconds, default=30.0, metavar="SECONDS", help="for each prompt")
    calibrate.add_argument("--seed", type=int, default=0, metavar="N", help="of the intervals (default 0)")
    calibrate.add_argument("--json", action="store_true", help="machine-readable report")
    calibrate.set_defaults(command=_calibrate)

    journal = commands.add_parser("journal", help="say what a journal holds: shares, cost, feedback")
    journal.add_argument("--dir", type=Path, required=True, metavar="DIR", help="`journal.directory` of the policy")
    journal.add_argument("--json", action="store_true", help="machine-readable summary")
    journal.set_defaults(command=_journal)

    evaluation = commands.add_parser("eval", help="a router against baselines, on prompts with known outcomes")
    score = commands.add_parser("score", help="how much each prompt of a file needs the strong model, as numbers")
    if words[:1] in (["eval"], ["score"]):
        from signalbox.evaluation.commands import add_eval_arguments, add_score_arguments

        add_eval_arguments(evaluation)
        add_score_arguments(score)
    evaluation.set_defaults(command=_eval)

    train = commands.add_parser("train", help="capability heads from your own labels or feedback")
    if words[:1] == ["train"]:
        from signalbox.training.commands import add_arguments as add_train_arguments

        add_train_arguments(train)
    train.set_defaults(command=_train)
    score.set_defaults(command=_score)

    tasks = commands.add_parser("tasks-eval", help="described tasks matched zero-shot, beside plain cosine")
    if words[:1] == ["tasks-eval"]:
        from signalbox.evaluation.task_commands import add_arguments as add_tasks_arguments

        add_tasks_arguments(tasks)
    tasks.set_defaults(command=_tasks_eval)

    lint = commands.add_parser("lint", help="described tasks of a policy that cannot be told apart")
    lint.add_argument("file", type=Path, metavar="POLICY")
    lint.add_argument("--json", action="store_true", help="machine-readable report")
    lint.set_defaults(command=_lint)

    models = commands.add_parser("models", help="router models: export, look at, measure")
    if words[:1] == ["models"]:
        from signalbox.bundles.commands import add_arguments as add_models_arguments

        add_models_arguments(models)
    models.set_defaults(command=_models)

    mock = commands.add_parser("mock", help="run mock providers")
    if words[:1] == ["mock"]:  # its options are its own, in a module that takes a moment to import
        from signalbox.mock.cli import add_arguments

        add_arguments(mock)
    mock.set_defaults(command=_mock)
    return parser


def _add_serving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_count, metavar="N", help="worker processes (default: one per core)")
    parser.add_argument("--server", choices=("core", "aio"), default="core", help="gRPC loop of the workers")


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: expected 1 to 65535")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"expected more than 0 and at most 3600 seconds, found {text}")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, found {text}")
    return number


def _usd(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"expected more than 0 USD, found {text}")
    return number


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, found {text!r}")
    return host.strip("[]"), _port(port)


def _up(options: argparse.Namespace) -> int:
    from signalbox.serve.children import default_workers
    from signalbox.up.run import Options, up

    return up(
        Options(
            policy_file=options.policy,
            port=options.port,
            api_port=options.api_port,
            workers=options.workers or default_workers(),
            server=options.server,
            run_dir=options.run_dir,
        )
    )


def _serve(options: argparse.Namespace) -> int:
    from signalbox.serve.children import default_workers
    from signalbox.serve.supervisor import Options, serve

    host, port = options.listen or (None, None)
    return serve(
        Options(
            policy_file=options.policy,
            run_dir=options.run_dir.resolve(),
            workers=options.workers or default_workers(),
            server=options.server,
            api_host=options.api[0],
            api_port=options.api[1],
            address=host,
            port=port,
            envoy_memory_bytes=options.envoy_memory,
            front=options.front,
        )
    )


def _drain(options: argparse.Namespace) -> int:
    from signalbox.serve.drain import drain

    outcome = drain(options.run_dir.resolve(), options.seconds, options.settle)
    print(json.dumps(outcome.as_json()))
    return outcome.exit_status


def _check(options: argparse.Namespace) -> int:
    from signalbox.policy.problems import check_file
    from signalbox.prices.resolve import resolve

    report = check_file(options.file, strict=options.strict, priced=resolve)
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text)
    return report.exit_status


def _render(options: argparse.Namespace) -> int:
    from signalbox.envoy.files import write
    from signalbox.envoy.render import Layout, render
    from signalbox.policy.load import load_policy
    from signalbox.serve.children import default_workers

    out = options.out.resolve()
    layout = Layout(run_dir=out, workers=options.workers or default_workers(), sidecars=options.sidecars)
    for name in write(render(load_policy(options.policy).policy, layout), out):
        print(out / name)
    return 0


def _route(options: argparse.Namespace) -> int:
    from signalbox.decide.explain import route_once, router_prompt

    body = sys.stdin.buffer.read() if str(options.file) == "-" else options.file.read_bytes()
    headers = {}
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise SetupError(f"--header {header!r}: expected NAME: VALUE")
        headers[name.strip().lower()] = value.strip()
    try:
        outcome = route_once(options.policy, body, options.endpoint, headers, explain=options.explain)
        if options.router_tokenizer is not None:
            outcome = {**outcome, "router_prompt": router_prompt(body, options.router_tokenizer, options.router_budget)}
    except RequestError as refusal:
        print(
            json.dumps({"refused": {"status": refusal.status, "code": refusal.code, "message": str(refusal)}}, indent=2)
        )
        return 1
    print(json.dumps(outcome, indent=2))
    return 0


def _ask(options: argparse.Namespace) -> int:
    from signalbox.up.ask import ask

    answer = ask(
        options.url,
        options.model,
        options.text,
        seconds=options.timeout,
        wait_seconds=options.wait or 0.0,
        verify=not options.insecure,
    )
    print(json.dumps(answer.as_json(with_text=options.show_answer)))
    return 0 if answer.is_routed else 1


def _label(options: argparse.Namespace) -> int:
    from signalbox.bundles.progress import Progress
    from signalbox.decide.label import label_file

    progress = Progress(sys.stderr)
    with progress.step("labelling"):
        tally = label_file(
            options.file,
            options.policy,
            options.router,
            options.out,
            endpoint=options.endpoint,
            deadline_seconds=options.deadline,
            most=options.most,
            said=lambda tally: progress.at(tally.known + tally.asked + tally.refused, tally.lines),
        )
    print(tally.text)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from signalbox.bundles.progress import Progress
    from signalbox.evaluation.calibrate.run import Options, run

    progress = Progress(sys.stderr)
    with progress.step("scoring"):
        report = run(
            Options(
                policy=options.policy,
                router=options.router,
                data=options.data,
                journal=options.journal,
                target_share=options.target_share,
                usd_per_1000=options.budget_per_1000,
                quality_floor=options.quality_floor,
                strong=options.strong,
                weak=options.weak,
                deadline_seconds=options.deadline,
                seed=options.seed,
            ),
            progress.at,
        )
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text)
    return 0


def _journal(options: argparse.Namespace) -> int:
    from signalbox.collector.journal.summary import summarise

    summary = summarise(options.dir)
    print(json.dumps(summary.as_json(), indent=2) if options.json else summary.text)
    return 0


def _eval(options: argparse.Namespace) -> int:
    from signalbox.evaluation.commands import run_eval

    return run_eval(options)


def _train(options: argparse.Namespace) -> int:
    from signalbox.training.commands import run

    return run(options)


def _score(options: argparse.Namespace) -> int:
    from signalbox.evaluation.commands import run_score

    return run_score(options)


def _tasks_eval(options: argparse.Namespace) -> int:
    from signalbox.evaluation.task_commands import run

    return run(options)


def _lint(options: argparse.Namespace) -> int:
    from signalbox.evaluation.overlap import lint

    findings = lint(options.file)
    print(json.dumps(findings.as_json(), indent=2) if options.json else findings.text)
    return findings.exit_status


def _models(options: argparse.Namespace) -> int:
    from signalbox.bundles.commands import run

    return run(options)


def _mock(options: argparse.Namespace) -> int:
    from signalbox.mock.cli import run

    return run(options)
