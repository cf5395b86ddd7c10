"""The frames between the assets: Parquet on the store, with the store's encryption.

pandas on the outside because Dagster's users know it; Arrow inside, so that scores stay exact
decimals and a million rows cost no copies.
"""

from datetime import date

import dagster as dg
import pandas as pd
import pyarrow as pa
from pydantic import PrivateAttr

from esg_pipeline.defs.resources import StoreResource
from esg_pipeline.delivery import DeliveryError, Store
from esg_pipeline.delivery.layout import frame_name
from esg_pipeline.delivery.parquet import from_parquet, to_parquet
from esg_pipeline.safe_text import mask, without_secrets


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Give the table as a pandas frame with Arrow-backed columns."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Give the frame back as the Arrow table it was made of, with exactly `schema`."""
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(
        None
    )


class StoreParquetIOManager(dg.ConfigurableIOManager):
    """Keeps each partition of a frame asset as `frames/<date>/<asset>.parquet` on the store.

    Within a run the next asset gets the frame from memory. So a store that breaks in the middle
    loses no work: the report is still made, and its delivery says what is wrong.
    """

    store: dg.ResourceDependency[StoreResource]
    _opened: Store | None = PrivateAttr(default=None)
    _of_this_run: dict[str, pd.DataFrame] = PrivateAttr(default_factory=dict)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = self.store.open()
        return self._opened

    @staticmethod
    def _name(context: dg.InputContext | dg.OutputContext) -> str:
        day = date.fromisoformat(context.partition_key)
        return frame_name(context.asset_key.to_python_identifier(), day)

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Write the frame; a store that refuses is said, and left to the delivery to judge."""
        name = self._name(context)
        self._of_this_run[name] = obj
        content = to_parquet(pa.Table.from_pandas(obj, preserve_index=False))
        with without_secrets():  # Dagster keeps the error
            try:
                self._store().write(name, content)
            except DeliveryError as error:
                context.log.error(f"{name} is not on the store: {mask(str(error))}")
                return
        context.add_output_metadata(
            {"dagster/row_count": len(obj), "parquet_bytes": len(content), "file": name}
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Give the frame of this run, or the one on the store."""
        name = self._name(context)
        if name in self._of_this_run:
            return self._of_this_run[name]
        with without_secrets():  # Dagster keeps the error
            return to_frame(from_parquet(self._store().read(name)))
