"""The simulated firm: an accounts database and an ESG API with faults, for the demo and tests.

It runs as a process of its own, which the pipeline reaches over HTTP only. No other stage may
import it and it imports none; nothing here may ever stand in for real data.
"""

from esg_pipeline.sandbox.accounts import create_accounts_database
from esg_pipeline.sandbox.behaviour import Behaviour, BehaviourError
from esg_pipeline.sandbox.call_log import CallCounts, RecordedCall
from esg_pipeline.sandbox.fault_plan import FaultPlan, FaultPlanError, read_fault_options
from esg_pipeline.sandbox.faults import FAULTS
from esg_pipeline.sandbox.invented_scores import expected_answer, registered_focus
from esg_pipeline.sandbox.launch import Sandbox, SandboxError, start_sandbox
from esg_pipeline.sandbox.server import Announcement, serve

__all__ = [
    "FAULTS",
    "Announcement",
    "Behaviour",
    "BehaviourError",
    "CallCounts",
    "FaultPlan",
    "FaultPlanError",
    "RecordedCall",
    "Sandbox",
    "SandboxError",
    "create_accounts_database",
    "expected_answer",
    "read_fault_options",
    "registered_focus",
    "serve",
    "start_sandbox",
]
