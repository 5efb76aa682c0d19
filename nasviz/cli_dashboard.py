"""`nasviz dashboard`: it parses arguments and calls the package, nothing else."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nasviz.resources import dashboards_folder

LOCAL = ("127.0.0.1", "localhost", "::1")


def dashboard(
    name: Annotated[str | None, typer.Argument(help="Which dashboard. [default: all, with an index]")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this computer.")] = 8866,
    ip: Annotated[str, typer.Option(help="Address to answer at; one that others reach makes viewers give a token.")] = (
        "127.0.0.1"
    ),
    base_url: Annotated[
        str, typer.Option(help="Path in front of all addresses, as a reverse proxy passes it on: /nasviz/.")
    ] = "/",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    run: Annotated[Path | None, typer.Option(help="Of cycles: folder of the run. [default: the bundled one]")] = None,
    allow_actions: Annotated[
        bool, typer.Option("--allow-actions", help="Of cycles: let visitors train, too, not only read and download.")
    ] = False,
    viewers: Annotated[int, typer.Option(min=1, help="Pages open at the same time, at most.")] = 40,
    idle: Annotated[int, typer.Option(min=1, help="Seconds until a page that was left gives back its memory.")] = 600,
) -> None:
    """Serve the dashboards, read-only, to this computer alone unless --ip says otherwise.

    The token is that of the environment variable JUPYTER_TOKEN, which makes every viewer give it, or a new one.
    """
    try:
        known = sorted(page.stem for page in dashboards_folder().glob("*.ipynb"))
    except OSError as error:
        _fail(str(error))
    if name is not None and name not in known:
        _fail(f"there is no dashboard {name!r}; there are: {', '.join(known)}.")
    if name not in (None, "cycles") and (run or allow_actions):
        _fail(f"--run and --allow-actions are for the dashboard 'cycles', not for {name!r}.")
    from nasviz.views import cycles_environment, voila_environment

    try:
        told = cycles_environment(run, allow_actions)
    except (ValueError, OSError) as error:
        _fail(" ".join(str(error).split()))
    os.environ.update(voila_environment())  # where Voilà looks for the template
    os.environ.update(told)
    from nasviz.views.server import serve

    serve(
        known if name is None else [name],
        ip=ip,
        port=port,
        base_url=f"/{base_url.strip('/')}/".replace("//", "/"),
        browser=browser,
        viewers=viewers,
        idle=idle,
        token=ip not in LOCAL or bool(os.environ.get("JUPYTER_TOKEN")),
    )


def _fail(message: str) -> NoReturn:
    typer.echo(f"nasviz: {message}", err=True)
    raise typer.Exit(2)
