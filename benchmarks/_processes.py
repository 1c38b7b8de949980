"""Cost of a fleet's processes, read from /proc: memory and processor time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in MiB. PSS divides shared pages among the processes, so it may be summed; RSS counts them in each."""

    pss: float
    rss: float
    private: float


def fleet_processes(data_dir: Path) -> dict[int, str]:
    """Return names by pid: the controller, each replica by its id, and every process below one of them."""
    run = data_dir / "run"
    roots = {path.stem: json.loads(path.read_bytes()).get("pid") for path in sorted(run.glob("*.json"))}
    names: dict[int, str] = {pid: name for name, pid in roots.items() if pid is not None and psutil.pid_exists(pid)}
    for pid, name in list(names.items()):
        if name == "controller":
            continue  # its children are the replicas
        for child in psutil.Process(pid).children(recursive=True):
            names.setdefault(child.pid, f"{name} helper")
    return names


def memory(pid: int) -> Memory:
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, _, rest = line.partition(":")
        kib[key] = int(rest.split()[0])
    return Memory(kib["Pss"] / 1024, kib["Rss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024)


def cpu_s(pid: int) -> float:
    """Return user and system time of all threads so far, in steps of 10 ms. Ended children are not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def fleet_cpu_s(processes: dict[int, str]) -> dict[str, float]:
    """Return seconds by process name; a process that has ended is left out."""
    seconds: dict[str, float] = {}
    for pid, name in processes.items():
        try:
            seconds[name] = seconds.get(name, 0.0) + cpu_s(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return seconds


def machine_cpu_s() -> float:
    """Return the busy seconds of all cores since boot, whoever used them, including those taken by the hypervisor."""
    fields = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S
