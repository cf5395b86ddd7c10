"""What Dagster keeps of a failure shows no secret: of the step, of what is behind it, of a tick."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from esg_pipeline.cli.run import _why
from esg_pipeline.defs.assets import business_days
from esg_pipeline.defs.failed_step import ends_clearly
from esg_pipeline.defs.frames import StoreParquetIOManager
from esg_pipeline.defs.resources import LedgerResource, SettingsResource, StoreResource
from esg_pipeline.defs.sensors import _ledger
from esg_pipeline.defs.this_run import RunResource
from esg_pipeline.delivery import DeliveryError, Store
from esg_pipeline_tests.safe_text.probes import arm_all, chain_of, readable_in

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)

DAY = "2026-03-10"


class BrokenStore(StoreResource):
    """A store that says all it knows."""

    def open(self) -> Store:
        raise chain_of(arm_all())


@dg.asset(partitions_def=business_days)
def ends_in_a_known_way(context: dg.AssetExecutionContext, this_run: RunResource) -> None:
    with ends_clearly(context, this_run):
        raise DeliveryError(arm_all()) from chain_of(arm_all())


@dg.asset(partitions_def=business_days)
def breaks(context: dg.AssetExecutionContext, this_run: RunResource) -> None:
    with ends_clearly(context, this_run):
        raise chain_of(arm_all())


@dg.asset(partitions_def=business_days, io_manager_key="frames")
def gives_a_frame() -> int:
    raise AssertionError("never asked")


@dg.asset(partitions_def=business_days)
def takes_a_frame(gives_a_frame: int) -> None:
    raise AssertionError("never asked")


@dg.asset(partitions_def=business_days)
def breaks_outside() -> None:
    raise RuntimeError(arm_all())


@pytest.fixture
def instance(tmp_path: Path, monkeypatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    """Materialize one asset; it fails."""
    settings = SettingsResource()
    result = dg.materialize(
        [asset, gives_a_frame.to_source_asset()] if asset is takes_a_frame else [asset],
        partition_key=DAY,
        instance=instance,
        raise_on_error=False,
        resources={
            "this_run": RunResource(settings=settings, ledger=LedgerResource(settings=settings)),
            "frames": StoreParquetIOManager(store=BrokenStore(settings=settings)),
        },
    )
    assert not result.success
    return result


@pytest.mark.parametrize(
    "asset", [ends_in_a_known_way, breaks, takes_a_frame], ids=lambda asset: asset.key.path[-1]
)
def test_the_failure_of_a_step_is_stored_without_secrets(asset, instance):
    result = run(instance, asset)
    kept = "".join(dg.serialize_value(entry) for entry in instance.all_logs(result.run_id))
    assert "***" in kept
    assert "RuntimeError" in kept or asset is ends_in_a_known_way
    assert readable_in(kept) == []


@pytest.mark.parametrize("asset", [ends_in_a_known_way, breaks, breaks_outside])
def test_the_command_line_says_why_without_secrets(asset, instance):
    why = _why(run(instance, asset))
    assert "***" in why
    assert readable_in(why) == []


def test_the_error_of_a_tick_is_stored_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    @dg.sensor(job_name="daily")
    def looks() -> None:
        with _ledger():
            raise chain_of(arm_all())

    with pytest.raises(Exception, match="the step failed") as caught:
        looks(dg.build_sensor_context())
    kept = str(dg._utils.error.serializable_error_info_from_exc_info(caught._excinfo))
    assert kept.count("***") > 3
    assert readable_in(kept) == []
