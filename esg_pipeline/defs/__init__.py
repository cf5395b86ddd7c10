"""What Dagster sees: assets, checks, schedule, sensors, resources and frames, each file thin.

Each asks one function of `daily_run` or of a stage and reports what came of it. No rule of the
day is decided here.
"""
