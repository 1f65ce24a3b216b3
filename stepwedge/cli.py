"""The ``stepwedge`` command. Each command imports what it needs when it runs, so that ``--help`` is there at once."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwedge import __version__
from stepwedge.errors import BadInput, Inconclusive, Skipped, StepwedgeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

BAD_INPUT, UNSURE, NOTHING_RAN = 2, 3, 5
_WIDE = 140
"""Columns where nobody says how many there are: a log is not folded at 80."""

app = typer.Typer(
    name="stepwedge",
    help="""Plays every system around a RIS and a PACS, walks clinical cases through the real ones, and says with
    evidence whether they may go live.

    Start with [bold]stepwedge run[/]: it needs no configuration and simulates a whole hospital on this machine.
    Then name your own systems in a lab file and run again with [bold]--lab[/].""",
    epilog="Exit codes of run: 0 all that ran passed · 1 failed · 2 bad input · 3 broken or inconclusive · 5 nothing ran",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


tap = typer.Typer(
    help="Stand between two systems, hand on what they say, and read it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(tap, name="tap")


def command(of: typer.Typer = app, **settings: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Make a function a command whose result is the exit code, and whose errors are told, not traced."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def coded(*arguments: Any, **named: Any) -> None:
            try:
                code = function(*arguments, **named)
            except BadInput as trouble:
                sys.stderr.write(f"{trouble}\n")
                code = BAD_INPUT
            except StepwedgeError as trouble:
                sys.stderr.write(f"{getattr(trouble, 'verdict', Inconclusive.verdict)}: {trouble}\n")
                code = NOTHING_RAN if isinstance(trouble, Skipped) else UNSURE
            raise typer.Exit(code)

        of.command(**settings)(coded)
        return function

    return register


Paths = Annotated[
    list[Path] | None, typer.Argument(help="Scenario files or folders; all scenarios when absent.")
]
LabFile = Annotated[
    Path | None,
    typer.Option("--lab", help="Lab file: who is simulated, who is real. Default: everything is simulated."),
]
Seed = Annotated[
    int | None, typer.Option(help="What names, identifiers and orders derive from; a random one when absent.")
]
Quirks = Annotated[
    list[str] | None,
    typer.Option("--quirk", help="Known wrong behaviour a simulated system shall have; repeatable."),
]
Patience = Annotated[str, typer.Option(help="Scale every time budget, such as 2x on a slow test system.")]
Keyword = Annotated[
    str, typer.Option("-k", help="Only cases whose name matches, such as 'merge and not 2.3.1'.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only scenarios with this tag; repeatable.")]
Workers = Annotated[int, typer.Option("-n", min=1, max=64, help="Share the cases among so many processes.")]
Evidence = Annotated[Path | None, typer.Option(help="Run folder to write; default runs/DATE-TIME.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print what did not pass, and the last lines.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder, such as runs/latest.")]


@command()
def run(
    paths: Paths = None,
    lab: LabFile = None,
    keyword: Keyword = "",
    tag: Tags = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only the few quick cases tagged smoke.")] = False,
    workers: Workers = 1,
    seed: Seed = None,
    quirk: Quirks = None,
    patience: Patience = "",
    evidence: Evidence = None,
    quiet: Quiet = False,
) -> int:
    """Run scenarios against the systems of a lab and say what came out.

    [bold]stepwedge run[/]                                      everything, simulated
    [bold]stepwedge run scenarios/cancel -k before-start[/]     one case
    [bold]stepwedge run --lab fixtures/labs/orthanc.yaml[/]     against a real PACS
    """
    from stepwedge.lab import labfile, launch
    from stepwedge.report import session

    if lab is not None:
        known = labfile.load(lab)
        if known.real and workers > known.text.lanes:
            raise BadInput(
                f"{lab} (lanes)",
                f"at least {workers} lanes for -n {workers}",
                str(known.text.lanes),
                "run with fewer processes",
            )
    tags = [*(tag or ()), *(["smoke"] if smoke else [])]
    wish = launch.Wish(paths or (), lab, seed, quirk or (), patience, keyword, tags, workers)
    return session.run(_console(), wish, evidence, quiet=quiet)


@command()
def sweep(
    scenario: Annotated[Path, typer.Argument(help="Any scenario; one with a fault step has that moved.")],
    lab: LabFile = None,
    fault: Annotated[str, typer.Option(help="Which fault: stepwedge explain faults.")] = "reset",
    every: Annotated[
        str,
        typer.Option(
            help="Where: unit, behind each PDU and frame (pdu, frame: only those); byte-edges, also a byte before and behind."
        ),
    ] = "unit",
    link: Annotated[
        list[str] | None,
        typer.Option(help="Only this link, such as 'ct->pacs'; repeatable. All tapped ones when absent."),
    ] = None,
    variant: Annotated[str, typer.Option(help="Which variant of the scenario; its first when absent.")] = "",
    workers: Annotated[int, typer.Option("-n", min=1, max=16, help="Hospitals at the same time.")] = 2,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Places at most, evenly spread.")] = 600,
    quirk: Quirks = None,
    seed: Annotated[int, typer.Option(help="Seed of all its runs.")] = 1,
) -> int:
    """Cut a case's links at every frame or PDU, in both directions, one cut at a time, and judge what came of each.

    [bold]stepwedge sweep scenarios/routine/ct-order-to-report.yaml --lab fixtures/labs/faults.yaml[/]

    Exit code 0 when every cut acted and every case passed after it, 1 when one failed, 3 when nobody can tell.
    """
    from stepwedge.report import sweep as sweeping

    wish = sweeping.Wish(scenario, lab, fault, every, link or (), variant, seed, quirk or (), workers, most)
    return sweeping.run(_console(), wish)


@command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Scenario and lab files or folders.")] = None,
    lab: LabFile = None,
) -> int:
    """Check scenario and lab files without running anything."""
    from stepwedge.lab import checking

    console = _console()
    problems = checking.check(paths or [], lab)
    for problem in problems:
        console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    errors = sum(not problem.warning for problem in problems)
    console.print(
        f"{errors} errors, {len(problems) - errors} warnings" if problems else "nothing wrong",
        highlight=False,
    )
    return BAD_INPUT if errors else 0


@command()
def explain(
    topic: Annotated[
        str, typer.Argument(help="An actor, a word, a check or a flow, such as ehr.place_order.")
    ],
) -> int:
    """Explain a word of the scenario language: what it does, takes and gives."""
    from stepwedge.lab import checking

    _console().print(checking.explain(topic), markup=False, highlight=False, soft_wrap=True)
    return 0


@command()
def prove(
    paths: Paths = None,
    lab: Annotated[
        Path | None,
        typer.Option("--lab", help="Only this lab. Default: for each quirk the shipped labs it can act in."),
    ] = None,
    quirk: Annotated[
        list[str] | None, typer.Option("--quirk", help="Only this quirk; repeatable. All when absent.")
    ] = None,
    workers: Annotated[int, typer.Option("-n", min=1, max=64, help="Runs at the same time.")] = 4,
    clean: Annotated[
        int,
        typer.Option("--clean", min=0, help="Instead: so many runs without quirks, each with another seed."),
    ] = 0,
    first: Annotated[
        bool,
        typer.Option("--first", help="End each run at the first case its quirk turns red: much quicker."),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep every message of every run, not only those that caught a quirk."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the first run.")] = 1,
    patience: Patience = "",
    evidence: Annotated[
        Path | None, typer.Option(help="Folder to write; default runs/prove-DATE-TIME.")
    ] = None,
    listed: Annotated[
        bool,
        typer.Option("--list", help="Instead: print every quirk, its defect and the labs it can act in."),
    ] = False,
) -> int:
    """Prove that the scenarios notice what they should: one run per known wrong behaviour.

    Every simulated system is switched into each of its quirks in turn. The matrix shows which scenario and which
    standing rule caught it, and the first message that betrayed it. A check that never turned red proves nothing.

    A quirk is tried in the labs that have what it needs, one after the other, until it is caught in one.
    """
    from stepwedge.report import proving

    if listed:
        return proving.catalogue(_console(), quirk or (), lab)
    return proving.prove(
        _console(),
        paths or (),
        quirk or (),
        workers,
        lab=lab,
        clean=clean,
        seed=seed,
        patience=patience,
        folder=evidence,
        first_only=first,
        keep=keep,
    )


@command()
def load(
    case: Annotated[
        str, typer.Argument(help="A load case by its name, such as LOD-02, or its file; --list shows them.")
    ] = "monday",
    lab: LabFile = None,
    day: Annotated[str, typer.Option(help="Another hospital: s, m, l, xl, network, or a day file.")] = "",
    seconds: Annotated[
        float, typer.Option(min=0, max=7 * 86400, help="Real seconds into which the case's hours are put.")
    ] = 0.0,
    hours: Annotated[str, typer.Option(metavar="07:00-11:00", help="Other hours of the day.")] = "",
    times: Annotated[float, typer.Option(min=0.01, max=1000, help="So many times the load.")] = 1.0,
    images: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a study's images that are sent, at least one.")
    ] = 0.0,
    sample: Annotated[
        float, typer.Option(min=-1, max=1, help="Share of exams held against every standing rule.")
    ] = -1.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Locust processes.")] = 1,
    master: Annotated[
        bool, typer.Option("--master", help="Lead --workers that join from elsewhere with --worker.")
    ] = False,
    worker: Annotated[
        str,
        typer.Option(metavar="HOST", help="Be a worker of the load that HOST leads; its --evidence is ours."),
    ] = "",
    find_capacity: Annotated[
        bool, typer.Option("--find-capacity", help="Raise the load until a limit breaks, and say where.")
    ] = False,
    ordinary: Annotated[
        bool,
        typer.Option(
            "--ordinary", help="Send as an ordinary modality does, delayed acknowledgements and all."
        ),
    ] = False,
    baseline: Annotated[Path | None, typer.Option(help="Folder of an earlier run to compare with.")] = None,
    web_ui: Annotated[int, typer.Option(metavar="PORT", help="Show Locust's own page on 127.0.0.1.")] = 0,
    seed: Seed = None,
    evidence: Evidence = None,
    quirk: Annotated[
        list[str] | None, typer.Option(help="Known wrong behaviour to switch on, to see it found.")
    ] = None,
    in_containers: Annotated[
        bool, typer.Option("--containers", help="Drive the hospital in containers, from containers.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Show the load cases and hospitals.")] = False,
) -> int:
    """Drive a hospital's day at the systems of a lab, look for everything that was sent, and say whether all limits held.

    Exit code 0: met, nothing lost. 1: a limit was missed, or something was lost. 2: nobody can tell: a worker died, the
    generator was the bottleneck, the planned load was not reached; or what was asked for is wrong.
    """
    from stepwedge.load import boxed
    from stepwedge.load import command as driving

    if show:
        return driving.listed(_console())
    if in_containers:
        return boxed.drive(_console(), case, seconds)
    if worker:
        if evidence is None:
            raise BadInput("--worker", "--evidence with the folder that its master writes to", "none")
        return driving.worker(evidence, worker)
    wanted = driving.Wanted(
        case=case,
        day=day,
        seconds=seconds,
        hours=hours,
        times=times,
        images=images,
        sample=sample,
        workers=workers,
        remote=master,
        ordinary=ordinary,
        web=web_ui,
        seed=seed,
        evidence=evidence,
        compare=baseline,
        find_capacity=find_capacity,
        quirks=tuple(quirk or ()),
    )
    return driving.command(_console(), lab, wanted)


@command()
def endure(
    lab: Annotated[Path, typer.Argument(help="A lab that starts a real archive itself.")],
    kills: Annotated[int, typer.Option(min=0, max=10_000, help="Rounds in which it is killed.")] = 100,
    others: Annotated[int, typer.Option(min=0, max=1000, help="Rounds of each other trouble.")] = 2,
    trouble: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this: kill, answer-lost, pause, partition, restart, disk-full; repeatable. All when absent."
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=2, max=500, help="Images of one round.")] = 6,
    actor: Annotated[str, typer.Option(help="Which actor of the lab.")] = "pacs",
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="No round begins after these.")] = 30.0,
    seed: Annotated[int, typer.Option(help="What images, places and moments derive from.")] = 1,
    evidence: Evidence = None,
) -> int:
    """Kill an archive while it stores, pause it, part it, fill its disk; see whether it keeps what it acknowledged.

    [bold]stepwedge endure fixtures/labs/orthanc.yaml --kills 100 --seed 1[/]

    What came in by DIMSE is read by DICOMweb, and the other way round. Exit code 0 when nothing acknowledged was lost and
    nothing doubled or altered, 1 when something was, 3 when nobody can tell.
    """
    from stepwedge.load import enduring

    return enduring.command(
        _console(),
        lab,
        evidence,
        actor=actor,
        kills=kills,
        others=others,
        images=images,
        troubles=trouble or (),
        seed=seed,
        minutes=minutes,
    )


@command()
def up(
    lab: LabFile = None,
    seed: Seed = None,
    quirk: Quirks = None,
    in_containers: Annotated[
        bool,
        typer.Option("--containers", help="Each system in a container of its own; make images first."),
    ] = False,
    profile: Annotated[
        list[str] | None,
        typer.Option(help="With --containers: orthanc (a real archive), observe (metrics); repeatable."),
    ] = None,
) -> int:
    """Start the simulated hospital in the background, and say where everybody is."""
    from stepwedge.lab import background, containers

    if in_containers:
        if lab or seed is not None or quirk:
            remedy = "their lab is fixtures/labs/containers.yaml; give --quirk to run"
            raise BadInput("up --containers", "no other option", "--lab, --seed or --quirk", remedy)
        return containers.up(_console(), profile or ())
    if profile:
        raise BadInput("--profile", "--containers with it", "a hospital in one process")
    return background.up(_console(), lab, seed, quirk or ())


@command()
def down() -> int:
    """Stop the simulated hospital that up started; its state is kept, that of containers is removed with them."""
    from stepwedge.lab import background

    return background.down(_console())


@command()
def status() -> int:
    """Say whether the simulated hospital runs, and where everybody is."""
    from stepwedge.lab import background

    return background.status(_console())


@command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sim(context: typer.Context) -> int:
    """Play one simulated system alone, such as sim ris; sim --help tells more."""
    from stepwedge.sim.command import main as play

    return play(context.args)


@command()
def report(
    folder: RunFolder = Path("runs/latest"),
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file of evidence against the manifest instead.")
    ] = False,
) -> int:
    """Write the reports of a run again from its journal, also of a run that was killed."""
    from stepwedge.report import manifest, write

    console = _console()
    if verify:
        changed = manifest.verify(folder)
        for line in changed:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print(
            f"{len(changed)} files differ from the manifest"
            if changed
            else "all evidence is as it was written"
        )
        return 1 if changed else 0
    said = write(folder)
    console.print(
        f"{said['verdict']}: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True
    )
    return 0


@command()
def matrix(
    folder: RunFolder = Path("runs/latest"),
    transactions: Annotated[
        bool,
        typer.Option(
            "--transactions",
            help="Show instead every transaction: who speaks it, what judges it, who verified it.",
        ),
    ] = False,
    conformance: Annotated[
        str,
        typer.Option("--conformance", metavar="ROLE", help="Show instead what a simulated system speaks."),
    ] = "",
    catalogue: Annotated[
        bool,
        typer.Option(
            "--catalogue",
            help="Show instead every clinical case: which scenario carries it and how it came out in the last run"
            " beside FOLDER that played it. Exit code 1 when one has no scenario.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --transactions or --catalogue: as JSON.")
    ] = False,
) -> int:
    """Show which transactions of the standard a run exercised, and how they came out."""
    if catalogue:
        from stepwedge.report import catalogue as cases

        known_cases = cases.read()
        found = cases.rows(known_cases, cases.scenarios(), cases.verdicts(folder.parent))
        if as_json:
            _console().print_json(data=cases.as_json(known_cases, found))
        else:
            cases.say(_console(), found)
        return cases.exit_code(found)
    if conformance:
        from stepwedge.report.conformance import statement

        _console().print(statement(conformance), markup=False, highlight=False, soft_wrap=True)
        return 0
    from stepwedge.report import closing, run_model
    from stepwedge.report import transactions as known

    if transactions and as_json:
        _console().print_json(data=known.as_json())
        return 0
    if transactions:
        known.say(_console())
        return 0
    closing.transactions(_console(), run_model.read(folder))
    return 0


@command()
def preflight(
    lab: Annotated[Path, typer.Option("--lab", help="Lab file.")],
    timeout: Annotated[float, typer.Option(help="Seconds per question.")] = 5.0,
) -> int:
    """Ask every real system of a lab whether it is there, and print the connection sheet for those who run them."""
    from stepwedge.lab import background

    return background.preflight(_console(), lab, timeout)


@command()
def certs(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not hold a PKI yet.")] = Path("pki"),
    actor: Annotated[
        list[str] | None,
        typer.Option(
            help="Who gets a certificate; repeatable. Default: every actor of the lab, and the probe."
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A further host name or address of all of them, besides localhost; repeatable."),
    ] = None,
    keys: Annotated[
        str, typer.Option(help="ec (P-256) or rsa (2048 bits), for systems that know nothing else.")
    ] = "rsa",
    lab: LabFile = None,
) -> int:
    """Make a PKI for tests: an authority, a certificate for every actor, and the bad ones that must be refused.

    [bold]stepwedge certs pki --host pacs.test.example[/]     ca.pem, crl.pem, pacs.pem, pacs.key, ..., bad/expired.pem, ...
    Give ca.pem and its own pair to every real system, and name the folder in the lab file: [bold]tls: {folder: pki}[/].
    The README in the folder says what each file is.
    """
    from stepwedge.lab import security

    written = security.certs(folder, actor or (), host or (), keys, lab)
    _console().print(
        f"wrote {len(written)} files to {folder}; {folder / 'README.md'} says what each is",
        highlight=False,
        soft_wrap=True,
    )
    return 0


@command()
def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder to make your lab in; it must not hold scenarios yet.")
    ],
) -> int:
    """Make a lab of your own: a lab file and a first scenario to change."""
    from stepwedge.lab import starting

    for path in starting.init(folder):
        _console().print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    _console().print(
        f"\nnext: cd {folder} && stepwedge check && stepwedge run", markup=False, highlight=False
    )
    return 0


@command(tap)
def record(
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on", metavar="CALLER->CALLEE", help="Who calls whom, by names of the lab; once a link."
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the caller finds us, instead of the callee; once a link."
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the callee is; the lab must allow the host. Once a link."
        ),
    ] = None,
    door: Annotated[
        list[str] | None, typer.Option(help="hl7, dicom, worklist, web or fhir; once a link.")
    ] = None,
    lab: Annotated[
        Path | None,
        typer.Option(
            "--lab", help="Lab file: names, allowed hosts and, without --on, its taps to real systems."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the drafts; nothing may be in it yet.")] = Path(
        "drafts"
    ),
    time: Annotated[
        str, typer.Option("--for", metavar="TIME", help="End after 90s, 30min or 8h; at Ctrl-C when absent.")
    ] = "",
    messages: Annotated[int, typer.Option(min=0, help="End after so many exchanges; 0 is never.")] = 0,
) -> int:
    """Record what systems say to each other as draft scenarios in which everybody is invented.

    [bold]stepwedge tap record --on 'ris->pacs' --listen 127.0.0.1:2577 --to 127.0.0.1:2575 --door hl7 --for 8h[/]
    Give --on, --listen, --to and --door again for each further link, in the same order.

    Names, numbers, dates, texts, UIDs and pictures are replaced or let go in memory: no file ever holds one of them.
    The same patient is the same invention throughout one recording, and another in the next.
    Each draft says at which lines somebody must decide. Then: [bold]stepwedge run drafts/*.yaml[/]
    """
    from stepwedge.lab.recording import recorder
    from stepwedge.lab.recording.links import Wish

    wish = Wish(on or (), listen or (), to or (), door or ())
    return recorder.command(_console(), wish, lab, recorder.Until.read(time, messages), out)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Hold what belongs to every command."""
    if version:
        sys.stdout.write(f"stepwedge {__version__}\n")
        raise typer.Exit


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDE)


def main() -> int:
    """Run the command line; return its exit code."""
    try:
        app(prog_name="stepwedge")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else UNSURE
    return 0


if __name__ == "__main__":
    sys.exit(main())
