"""The files of `deploy/` for services, clusters and databases do what their comments say."""

import re
import shutil
import subprocess
from datetime import date, datetime
from importlib import resources
from pathlib import Path

import psycopg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

from esg_pipeline import clock
from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline_tests.docs.pages import ROOT

SYSTEMD, KUBERNETES = ROOT / "deploy" / "systemd", ROOT / "deploy" / "kubernetes"
DAY = date(2026, 3, 10)


# ---- systemd


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root folder in which the units are installed, with programs of their names."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    programs = tmp_path / "opt/esg-pipeline/.venv/bin"
    programs.mkdir(parents=True)
    for unit in [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer")]:
        shutil.copy(unit, units)
    for name in ("dagster-daemon", "dagster-webserver", "esg-pipeline"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    for target in ("multi-user", "timers", "basic", "sysinit", "shutdown", "network-online"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return tmp_path


@pytest.mark.servers
@pytest.mark.needs("systemd-analyze")
def test_systemd_accepts_the_units(system):
    names = [unit.name for unit in [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer")]]
    assert len(names) == 4
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={system}", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.servers
@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-10", "2026-11-01"])
def test_the_timer_looks_every_five_minutes_from_0510_to_0910_central(day):
    """On both days of change too."""
    timer = (SYSTEMD / "esg-watchdog.timer").read_text(encoding="utf-8")
    looks = []
    for calendar in re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE):
        printed = subprocess.run(
            [
                *("systemd-analyze", "calendar", "--iterations=60"),
                *(f"--base-time={day} 06:00 UTC", calendar),
            ],
            env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        looks += re.findall(r"(?:elapse|#\d+): \w+ (\S+ \S+) UTC", printed)
    central = sorted(
        datetime.fromisoformat(f"{look}+00:00").astimezone(clock.CENTRAL) for look in set(looks)
    )
    of_day = [f"{look:%H:%M}" for look in central if f"{look:%Y-%m-%d}" == day]
    minutes = range(5 * 60 + 10, 9 * 60 + 10 + 1, 5)
    assert of_day == [f"{minute // 60:02}:{minute % 60:02}" for minute in minutes]


@pytest.mark.parametrize("unit", sorted(SYSTEMD.glob("*.service")), ids=lambda unit: unit.name)
def test_no_service_is_root_or_may_become_it(unit):
    lines = unit.read_text(encoding="utf-8").splitlines()
    for line in (
        "User=esg",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "LimitCORE=0",
        "EnvironmentFile=/etc/esg-pipeline/environment",
    ):
        assert line in lines


# ---- Kubernetes


def manifests() -> list[dict]:
    return [
        document
        for name in yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
        for document in yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))
    ]


def pods() -> dict[str, dict]:
    """The pod of each workload."""
    found = {}
    for manifest in manifests():
        spec = manifest["spec"]
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            found[manifest["metadata"]["name"]] = template["spec"]
    return found


@pytest.mark.parametrize("name", sorted(pods()))
def test_no_pod_is_root_or_may_become_it_and_secrets_come_from_a_secret(name):
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["envFrom"] == [{"secretRef": {"name": "esg-pipeline"}}]
    assert "env" not in container
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/tmp", "/var/lib/esg-pipeline"} <= written


def test_there_is_one_daemon_and_the_watchdog_looks_every_five_minutes_of_the_morning():
    by_name = {manifest["metadata"]["name"]: manifest["spec"] for manifest in manifests()}
    daemon, watchdog = by_name["esg-dagster-daemon"], by_name["esg-watchdog"]
    assert (daemon["replicas"], daemon["strategy"]) == (1, {"type": "Recreate"})
    assert (watchdog["schedule"], watchdog["timeZone"]) == ("*/5 5-9 * * *", "America/Chicago")
    assert watchdog["concurrencyPolicy"] == "Forbid"
    assert pods()["esg-watchdog"]["containers"][0]["command"] == ["esg-pipeline", "watchdog"]


# ---- Dagster's instance


def test_dagster_takes_the_instance_file_of_production(postgres, tmp_path, monkeypatch):
    """But for the storage and the output of runs it is the file of the program."""
    content = (KUBERNETES / "dagster.yaml").read_text(encoding="utf-8")
    ours = yaml.safe_load(resources.files("esg_pipeline").joinpath("dagster.yaml").read_text())
    parts = yaml.safe_load(content)
    theirs = {"storage", "compute_logs"}
    assert {name: part for name, part in parts.items() if name not in theirs} == ours
    (tmp_path / "dagster.yaml").write_text(content, encoding="utf-8")
    url = postgres.new_database().replace("+psycopg:", "+psycopg2:")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        assert instance.get_runs_count() == 0
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"


def test_the_copy_for_systemd_is_the_same_file():
    assert (SYSTEMD / "dagster.yaml").resolve() == KUBERNETES / "dagster.yaml"


# ---- the ledger's readers


@pytest.fixture
def reader(postgres) -> tuple[Ledger, Ledger]:
    """The ledger as its owner and as one of the readers sees it, with the shipped rights."""
    owners_url = postgres.new_database()
    database = owners_url.rpartition("/")[2]
    role = f"readers_{database}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    owner = Ledger.open(owners_url)
    postgres.psql(ROOT / "deploy/postgres/readers.sql", database, readers=role)
    ledger = Ledger.open(postgres.url(database, user=role))
    yield owner, ledger
    ledger.close()
    owner.close()


def test_a_reader_may_do_what_a_fetch_needs(reader):
    owner, ledger = reader
    assert ledger.editions.newest_delivered(DAY) is None
    ledger.audit.append("kim", "fetch", day=DAY, outcome="done")
    assert [(entry.who, entry.action) for entry in owner.audit.entries()] == [("kim", "fetch")]
    assert owner.audit.first_broken() is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM esg_results",
        "SELECT * FROM esg_audit",
        "UPDATE esg_audit SET who = 'somebody'",
        "DELETE FROM esg_audit",
        "UPDATE esg_editions SET state = 'open'",
        "INSERT INTO esg_legal_holds VALUES (now(), 'x', 'y', now())",
    ],
)
def test_a_reader_may_do_nothing_else(reader, sql):
    _, ledger = reader
    with (
        pytest.raises(LedgerUnavailable, match="permission denied") as denied,
        ledger._database.write() as connection,
    ):
        connection.exec_driver_sql(sql)
    assert isinstance(denied.value.__cause__.orig, psycopg.errors.InsufficientPrivilege)
