"""Imported by each process that a test starts during `make mutants` (run.sh puts it on the path).

While mutmut learns which test reaches which function, it counts in its own process only; a started
process would look for mutmut's settings in its own folder and fail.
"""

import os

if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    del os.environ["MUTANT_UNDER_TEST"]
