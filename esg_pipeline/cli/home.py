"""What every command does first: find the Dagster home, read the settings, end."""

import getpass
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from esg_pipeline import clock
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.safe_text import mask
from esg_pipeline.settings import (
    DEFAULT_HOME,
    DEMO_FOLDER,
    Settings,
    SettingsError,
    load_settings,
    read_env_file,
)

if TYPE_CHECKING:
    from esg_pipeline.ledger import Ledger


DEMO_HOME = ".demo_home"


def end(code: ExitCode, message: str) -> NoReturn:
    """Say the message on standard error, without secrets, and leave."""
    click.echo(mask(message), err=True)
    sys.exit(code)


def prepare_home() -> Path:
    """Make sure that there is a Dagster home with an instance file; say so when it is ours."""
    try:
        given = os.environ.get("DAGSTER_HOME") or read_env_file().get("DAGSTER_HOME")
    except SettingsError as error:
        end(ExitCode.USAGE, str(error))
    home = Path(given or DEFAULT_HOME).absolute()
    if not given:
        click.echo(f"DAGSTER_HOME is not set: using {home}", err=True)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        instance_file = home / "dagster.yaml"
        if not instance_file.exists():
            default = resources.files("esg_pipeline").joinpath("dagster.yaml")
            instance_file.write_bytes(default.read_bytes())
    except OSError as error:
        end(ExitCode.USAGE, f"DAGSTER_HOME: {home} cannot be used: {error.strerror}")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    return home


def prepare_demo_home() -> Path:
    """Make sure that there is a Dagster home for the simulated firm, which no real run shares.

    A `.env` is not asked for it: it may be a real installation's.
    """
    given = os.environ.get("DAGSTER_HOME")
    home = Path(given or DEMO_HOME).absolute()
    is_demo = (home / DEMO_FOLDER).is_dir()
    if not is_demo and home.is_dir() and {each.name for each in home.iterdir()} - {"dagster.yaml"}:
        end(
            ExitCode.USAGE,
            f"DAGSTER_HOME: {home} is in use, and invented reports would come beside real ones. "
            f"Unset it, or name a new folder.",
        )
    if not given:
        click.echo(f"DAGSTER_HOME is not set: using {home}", err=True)
    os.environ["DAGSTER_HOME"] = str(home)
    prepare_home()
    (home / DEMO_FOLDER).mkdir(exist_ok=True)
    return home


def settings_or_exit(*, for_run: bool = False) -> Settings:
    """Read the settings; problems end the command with one line each and exit code 2."""
    prepare_home()
    try:
        settings = load_settings()
        if for_run:
            settings.require_for_run()
    except SettingsError as error:
        end(ExitCode.USAGE, str(error))
    return settings


def first_line(error: BaseException) -> str:
    """The first line of an error of ours, or of what is behind another; without secrets."""
    while error.__cause__ is not None and not type(error).__module__.startswith("esg_pipeline."):
        error = error.__cause__
    lines = mask(str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0]


class BusinessDate(click.ParamType[date]):
    """`YYYY-MM-DD`, a date that has begun in Central Time."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            day = value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as YYYY-MM-DD", param, ctx)
        today = clock.business_date(clock.now_utc())
        if not date(2020, 1, 1) <= day <= today:
            self.fail(f"{day} must lie between 2020-01-01 and today, {today} Central", param, ctx)
        return day


def today() -> date:
    """The business date now."""
    return clock.business_date(clock.now_utc())


date_option = click.option(
    "--date", "day", type=BusinessDate(), default=today, help="Business date; default today."
)


def command_as_called() -> str:
    """How this command line was started, to be typed again."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return f"{sys.executable} -m esg_pipeline"
    return "esg-pipeline" if shutil.which("esg-pipeline") == called else called


def login_name() -> str:
    """Who runs the command; a container's user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


by_option = click.option(
    "--by", metavar="NAME", default=login_name, help="Who asks; default the login name."
)


@contextmanager
def opened_ledger(settings: Settings) -> Iterator["Ledger"]:
    """Open the ledger for a command; one that does not answer ends it with exit code 1."""
    from esg_pipeline.ledger import Ledger, LedgerUnavailable

    with ends_with_one_line(LedgerUnavailable):
        ledger = Ledger.open(settings.ledger_location)
        try:
            yield ledger
        finally:
            ledger.close()


@contextmanager
def ends_with_one_line(*endings: type[Exception]) -> Iterator[None]:
    """Turn known failures into their one line and exit code 1."""
    try:
        yield
    except endings as error:
        end(ExitCode.FAILED, str(error))
