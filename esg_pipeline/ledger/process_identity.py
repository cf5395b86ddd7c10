"""Which process this is, and whether another one of this machine still lives.

A process id alone proves nothing: it is used again after a reboot, by a later process, and in
every container. Machine (boot and PID namespace), id and start time together name one process.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process.

    Attributes:
        host: For people.
        machine: Boot id and PID namespace, within which `pid` means something; "" if unknown.
        pid: Process id.
        started: Start time in clock ticks since boot, as /proc gives it; "" if unknown.
    """

    host: str
    machine: str
    pid: int
    started: str

    def is_provably_dead(self) -> bool:
        """True only if the process ran on this machine, and is gone. A zombie is gone."""
        machine = _machine()
        if not machine or machine != self.machine or not self.started:
            return False
        return _start_time(self.pid) != self.started


def this_process() -> ProcessIdentity:
    """The identity of the process that asks."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), _machine(), pid, _start_time(pid) or "")


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # not Linux: nothing can be proved


def _start_time(pid: int) -> str | None:
    """Field 22 of proc(5)'s stat; None when there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold anything.
    fields = stat.rpartition(b")")[2].split()
    state, start_time = fields[0], fields[19]
    return None if state in (b"Z", b"X") else start_time.decode()
