"""`python -m esg_pipeline.sandbox FOLDER`: the simulated firm in the foreground.

Prints one line of JSON when it is ready. `start_sandbox` starts it so; people use
`esg-pipeline sandbox`.
"""

import argparse
from pathlib import Path

from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.fault_plan import read_fault_options
from esg_pipeline.sandbox.server import serve


def main() -> None:
    """Read the options and serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m esg_pipeline.sandbox", description=__doc__)
    parser.add_argument("folder", type=Path, help="gets accounts.db")
    parser.add_argument("--accounts", type=int, default=1000, help="active accounts")
    parser.add_argument("--retired", type=int, default=50, help="retired accounts")
    parser.add_argument("--seed", type=int, default=7, help="of the invented accounts")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE[:N]")
    parser.add_argument("--rate-limit", type=int, metavar="CALLS", help="in a second")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--private-key", type=Path)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when PID has ended")
    options = parser.parse_args()
    try:
        behaviour = Behaviour(
            faults=read_fault_options(options.fault),
            rate_limit=options.rate_limit,
            latency_s=options.latency,
        )
    except ValueError as error:
        parser.error(str(error))
    serve(
        options.folder,
        accounts=options.accounts,
        retired=options.retired,
        seed=options.seed,
        behaviour=behaviour,
        api_port=options.api_port,
        control_port=options.control_port,
        certificate=options.certificate,
        private_key=options.private_key,
        parent_pid=options.with_parent,
    )


if __name__ == "__main__":
    main()
