"""Deliver to a disk of one megabyte, full but for so many pages; runs where it may mount one.

Started as `unshare -m python -m … HOME`. Prints one JSON line per try: what was told, which edition
readers had then, and which after space was made and the day was run again.
"""

import json
import subprocess
import sys
from pathlib import Path

from esg_pipeline.delivery import DeliveryError, open_signer, open_store, verify
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery.reports import DAY, deliver_day

PAGE_BYTES = 4096


def main(home: Path) -> None:
    disk = home / "store"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    settings = Settings(_env_file=None, DAGSTER_HOME=home)
    store, signer = open_store(settings), open_signer(settings.keys_folder)
    deliver_day(store, signer, failed=1)
    edition = 1
    for free_pages in range(14):
        edition += 1
        told = None
        fill(disk / "filler", free_pages)
        try:
            store.preflight()
            deliver_day(store, signer, edition, failed=edition)
        except DeliveryError as error:
            told = str(error)
        seen = verify(store, DAY, trusted=signer.trusted).edition
        (disk / "filler").unlink()
        deliver_day(store, signer, edition, failed=edition)
        healed = verify(store, DAY, trusted=signer.trusted).edition
        print(json.dumps({"edition": edition, "told": told, "seen": seen, "healed": healed}))


def fill(filler: Path, free_pages: int) -> None:
    """Fill the disk, then give back so many pages."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE_BYTES))
        except OSError:
            file.truncate(max(0, file.tell() // PAGE_BYTES - free_pages) * PAGE_BYTES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
