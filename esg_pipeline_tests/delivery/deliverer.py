"""A process that delivers a small day on command, each time in a fresh child, for the crash loop.

Reads lines `HOME EDITION`; forks a child that says its process id and waits for SIGUSR1, so that
strace can be attached first, then delivers; says `ended STATUS` when the child is gone. The fork
saves the second that importing everything takes.
"""

import os
import signal
import sys
from pathlib import Path

from esg_pipeline.delivery import DeliveryError, open_signer, open_store
from esg_pipeline.settings import Settings, SettingsError
from esg_pipeline_tests.delivery.reports import deliver_day

REFUSED = 1
"""Exit status of a delivery that ended with one clear line."""


def deliver_once(home: Path, edition: int) -> None:
    settings = Settings(_env_file=None, DAGSTER_HOME=home)
    store = open_store(settings)
    store.preflight()
    deliver_day(store, open_signer(settings.keys_folder), edition, failed=edition)


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for line in sys.stdin:
        home, edition = line.split()
        child = os.fork()
        if child == 0:
            signal.sigwait({signal.SIGUSR1})
            try:
                deliver_once(Path(home), int(edition))
            except (DeliveryError, SettingsError):
                os._exit(REFUSED)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(2)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
