"""The main job: the file says what the server said, for every account, whatever its name."""

import base64
import csv
import io
import os
import re
import sqlite3
import stat
from decimal import ROUND_HALF_UP, Decimal
from xml.etree import ElementTree

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from esg_pipeline.sandbox import expected_answer
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import DAY, check_invariants
from esg_pipeline_tests.report.rfc4180 import read_rfc4180


def accounts_of(firm) -> dict[str, tuple[str, str | None]]:
    path = firm.accounts_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as db:
        return {
            row[0]: (row[1], row[2])
            for row in db.execute(
                "SELECT account_id, account_name, primary_esg_focus FROM accounts"
                " WHERE status = 'active'"
            )
        }


def two_decimals(score: float) -> str:
    return str(Decimal(str(score)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def expected_row(account_id: str, name: str, focus: str | None) -> dict[str, str]:
    answer = expected_answer(account_id, DAY, focus)
    analysis = answer["esg_analysis"]
    sent_focus = analysis.get("primary_esg_focus")
    guarded = f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
    return {
        "Account ID": account_id,
        "Account Name": guarded,
        "Overall ESG Score": two_decimals(analysis["overall_esg_score"]),
        "Environmental Score": two_decimals(analysis["environmental_score"]),
        "Social Score": two_decimals(analysis["social_score"]),
        "Governance Score": two_decimals(analysis["governance_score"]),
        "Primary ESG Focus": sent_focus.capitalize() if sent_focus else "N/A",
        "Primary Focus Score": two_decimals(analysis["primary_focus_score"])
        if sent_focus
        else "N/A",
        "Analysis Date": answer["analysis_date"],
        "Processing Status": "Successful",
    }


def test_every_cell_is_what_the_server_said(job, firm):
    done = job.run()
    assert done.returncode == 0, done.stderr
    delivery = job.delivered()
    check_invariants(delivery, ACCOUNTS, firm)
    accounts = accounts_of(firm)
    assert delivery.rows == {
        account_id: expected_row(account_id, name, focus)
        for account_id, (name, focus) in accounts.items()
    }
    assert delivery.error_rows == {}
    assert set(firm.calls_by_account().values()) == {1}


def test_three_readers_read_the_same_rows(job, firm):
    assert job.run().returncode == 0
    content = job.delivered().csv
    assert content.endswith(b"\r\n")
    strict = read_rfc4180(content)
    by_csv = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    assert strict == by_csv
    assert [list(frame.columns), *frame.to_numpy().tolist()] == by_csv


def test_faulty_answers_are_judged_account_by_account(job, firm):
    ids = sorted(accounts_of(firm))
    verdicts = {
        "http_404": ("Failed", "not_found"),
        "http_403": ("Failed", "unauthorized"),
        "http_422": ("Failed", "http_4xx"),
        "http_500": ("Failed", "http_5xx"),
        "timeout": ("Failed", "timeout"),
        "reset": ("Failed", "unreadable_response"),
        "html_200": ("Failed", "unreadable_response"),
        "nan": ("Failed", "invalid_response"),
        "string_score": ("Failed", "invalid_response"),
        "wrong_account": ("Failed", "identity_mismatch"),
        "missing_overall": ("Failed", "incomplete_response"),
        "missing_pillar": ("Partial", "incomplete_response"),
        "stale_date": ("Partial", "stale_analysis"),
        "status_partial": ("Partial", "incomplete_response"),
        "redirect": ("Failed", "invalid_response"),
    }
    planted = dict(zip(ids, verdicts, strict=False))
    firm.set_faults({}, account_faults=planted)
    done = job.run()
    assert done.returncode == 3, done.stderr
    delivery = job.delivered()
    check_invariants(delivery, ACCOUNTS, firm)
    seen = {
        fault: (
            delivery.rows[account_id]["Processing Status"],
            delivery.error_rows[account_id]["Reason"],
        )
        for account_id, fault in planted.items()
    }
    assert seen == verdicts
    assert delivery.statuses()["Successful"] == ACCOUNTS - len(verdicts)


def test_the_files_are_encrypted_and_never_for_everyone(job, firm):
    assert job.run().returncode == 0
    names = [name for name, _ in accounts_of(firm).values()]
    for path in job.home.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        assert not any(name.encode() in content for name in names), path
        if job.store in path.parents:
            assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, path
    report = job.store / "FirmESGRatings_20260310.csv.age"
    assert stat.S_IMODE(report.stat().st_mode) == 0o640
    assert report.read_bytes().startswith(b"age-encryption.org/v1")


def test_dagster_knows_the_run_its_partition_and_its_checks(job, firm, monkeypatch):
    assert job.run().returncode == 0
    monkeypatch.setenv("DAGSTER_HOME", str(job.home))
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.job_name == "daily_esg_ratings"
        assert run.tags["dagster/partition"] == DAY.isoformat()
        for asset in ("active_accounts", "esg_scores", "firm_esg_report", "failed_accounts"):
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {DAY.isoformat()}
        events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = {
            each.dagster_event.event_specific_data.check_name: each.dagster_event for each in events
        }
        assert {"one_result_per_account", "report_schema", "failure_share"} <= set(checks)
        assert len(instance.all_logs(run.run_id)) < 100


def test_dagsters_page_shows_charts_and_first_rows_without_names_or_scores(job, firm, monkeypatch):
    firm.set_faults({"http_404": 0.1})
    assert job.run().returncode in {0, 3}
    monkeypatch.setenv("DAGSTER_HOME", str(job.home))
    with dg.DagsterInstance.get() as instance:
        shown = {
            asset: instance.get_latest_materialization_event(
                dg.AssetKey(asset)
            ).asset_materialization.metadata
            for asset in ("esg_scores", "failed_accounts", "firm_esg_report", "esg_trend")
        }
    assert svg_texts(shown["firm_esg_report"]["overall_scores"]) >= {"40 to 49.99", "90 to 100"}
    assert svg_texts(shown["firm_esg_report"]["primary_focus"]) >= {"Environmental", "Social"}
    assert "Overall: black" in shown["esg_trend"]["Average scores, points"].value
    assert shown["firm_esg_report"]["report"].value == (
        f"{job.store.as_uri()}/FirmESGRatings_20260310.csv.age"
    )
    first_rows = shown["esg_scores"]["first_rows"]
    assert [column.name for column in first_rows.schema.columns] == [
        *("account_id", "status", "reason", "analysis_date", "http_status", "attempts")
    ]
    assert first_rows.records[0].data["account_id"] == min(accounts_of(firm))
    failed = shown["failed_accounts"]["first_rows"].records
    assert failed
    assert {row.data["reason"] for row in failed} == {"not_found"}
    names = [name.encode() for name, _ in accounts_of(firm).values()]
    for path in job.home.rglob("*.db"):
        content = path.read_bytes()
        assert not [name for name in names if name in content], path


def svg_texts(picture: dg.MarkdownMetadataValue) -> set[str]:
    """What is written in a chart on Dagster's page."""
    image = re.search(r"data:image/svg\+xml;base64,([^)]+)", picture.value)
    svg = ElementTree.fromstring(base64.b64decode(image[1]))
    return {each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")}


def test_the_token_and_the_names_reach_no_output_of_a_run(job, firm):
    firm.set_faults({"echo_token": 0.1, "http_500": 0.2})
    done = job.run()
    said = done.stdout + done.stderr
    assert firm.token not in said
    for name, _ in accounts_of(firm).values():
        assert name not in said
    for path in job.home.rglob("*"):
        if path.is_file():
            assert firm.token.encode() not in path.read_bytes(), path


def test_a_run_on_postgresql_gives_the_same_file(job, firm, postgres_url):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as db:
        db.execute(
            sa.text(
                "CREATE TABLE accounts (account_id text PRIMARY KEY, account_name text,"
                " primary_esg_focus text, status text)"
            )
        )
        db.execute(
            sa.text("INSERT INTO accounts VALUES (:id, :name, :focus, 'active')"),
            [
                {"id": account_id, "name": name, "focus": focus}
                for account_id, (name, focus) in accounts_of(firm).items()
            ],
        )
    engine.dispose()
    assert job.run().returncode == 0
    from_sqlite = job.delivered().csv
    done = job.run(ESG_ACCOUNTS_URL=postgres_url)
    assert done.returncode == 0, done.stderr
    again = job.delivered()
    assert again.csv == from_sqlite
    assert again.manifest["edition"] == 2
    assert os.path.exists(job.store / "editions" / "20260310" / "0001")
