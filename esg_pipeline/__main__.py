"""`python -m esg_pipeline` is `esg-pipeline`."""

from esg_pipeline.cli import main

main(prog_name="esg-pipeline")
