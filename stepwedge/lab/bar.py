"""How far long work is, on a terminal; nothing where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn


def counted(console: Console, *further: ProgressColumn) -> Progress:
    """Return a bar that counts what is done, with ``further`` columns behind it; it goes when the work is over."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *further,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
