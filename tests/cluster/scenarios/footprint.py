"""What a sidecar adds to a pod, measured: memory, processor time at three rates, delay of the
application's start."""

import statistics
import time
from pathlib import Path

import images
import node
from place import NAME
from pods import container, namespace, pod, speaker, start, until
from report import Skip, expect_within

RATES = (0, 100, 10_000)
SECONDS = 10
STARTS = 5


def measure():
    """Prints the figures. Fails where the requests of the chart would not hold them."""
    needs_version_1()
    with namespace("sl-footprint") as where:
        for rate in RATES:
            # a pod without lines: its connection is open but idle
            app = (
                speaker(RATE=rate)
                if rate
                else container("app", images.PYTHON, ["python3", "/programs/quiet.py"])
            )
            running = start(pod(f"at-{rate}", app, terminationGracePeriodSeconds=3), where).ready()
            if rate:
                until("lines", lambda: running.metrics().total("sidelight_frames_received_total") > rate)
            cgroup = cgroup_of(running)
            before, begin = used(cgroup), time.monotonic()
            lines = running.metrics().total("sidelight_frames_received_total")
            time.sleep(SECONDS)
            share = (used(cgroup) - before) / 1e9 / (time.monotonic() - begin)
            lines = running.metrics().total("sidelight_frames_received_total") - lines
            resident = resident_mib(cgroup)
            print(
                f"        at {lines / SECONDS:7.0f} lines/s: {resident:4.1f} MiB, {share * 1000:5.1f} m of a core"
            )
            expect_within(f"MiB at {rate} lines/s", resident, 1, 24)
            running.delete(0)
        begins = {
            injected: statistics.median(delay(where, number, injected) for number in range(STARTS))
            for injected in (False, True)
        }
        print(
            f"        from the pod's creation to the application's first line: {begins[False]:.2f} s without,"
            f" {begins[True]:.2f} s with the sidecar (medians of {STARTS})"
        )


def needs_version_1():
    """The figures are read where cgroup v1 has them."""
    if not (node.CGROUPS / "cpuacct").exists():
        raise Skip("cgroup v1 is not mounted")


def cgroup_of(running):
    """The sidecar's cgroup, below each hierarchy's root."""
    container_id = running.statuses()["sidelight"]["containerID"].rpartition("/")[2]
    found = next((node.CGROUPS / "cpuacct" / NAME).glob(f"**/{container_id}"))
    return found.relative_to(node.CGROUPS / "cpuacct")


def used(cgroup):
    """Processor time in nanoseconds, the probes' processes included."""
    return int((node.CGROUPS / "cpuacct" / cgroup / "cpuacct.usage").read_text(encoding="ascii"))


def resident_mib(cgroup):
    """Resident memory of the processes."""
    total = 0
    for pid in node.processes_of(node.CGROUPS / "memory" / cgroup):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return total / 1024


def delay(where, number, injected):
    """Seconds from asking for a pod to the first line of its application."""
    app = container("app", images.PYTHON, ["python3", "/programs/quiet.py"])
    wanted = pod(
        f"start-{number}-{'with' if injected else 'without'}",
        app,
        terminationGracePeriodSeconds=1,
        labels={"sidelight.dev/inject": "true" if injected else "false"},
    )
    begin = time.time()
    running = start(wanted, where)
    said = until("started", lambda: [line for line in running.said() if line.startswith("started at")])
    running.delete(0)
    return float(said[0].rpartition(" ")[2]) - begin
