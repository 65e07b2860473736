"""Kills one of two processes of a training at random instants and tells whether it ends as if nothing had been: kill.py FOLDER TIMES OPTIONS...

By hand, since torchrun takes seconds to start anew. FOLDER was written by `fusenet export --to torch`.
"""
from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

folder, times, options = Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:]
RUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--redirects", "1", "--tee", "1", "--log_dir", str(folder / "log")]


def start(name: str, restarts: int) -> subprocess.Popen:
    command = [*RUN, "--max_restarts", str(restarts), "--master_port", str(random.randrange(20000, 30000)), "train.py", *options, "--save", f"{name}.safetensors"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=open(folder / f"{name}.err", "w"), env={**os.environ, "OMP_NUM_THREADS": "1"})


def workers(of: int) -> list[int]:
    """Processes of train.py that torchrun started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == of and "train.py" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def main() -> None:
    began = time.time()
    if start("whole", 0).wait() != 0:
        raise SystemExit((folder / "whole.err").read_text())
    whole_takes = time.time() - began
    print(f"never killed: {whole_takes:.1f} s", flush=True)
    chance = random.Random(1)
    running = start("killed", times)
    killed = 0
    while running.poll() is None and killed < times:
        time.sleep(0.2)
        alive = workers(running.pid)
        if len(alive) < 2:
            continue
        # Long enough for a snapshot now and then: importing torch is part of it.
        time.sleep(chance.uniform(0.2, 0.8) * whole_takes)
        alive = workers(running.pid)
        if running.poll() is None and alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
            killed += 1
            print(f"killed {killed} of {times} after {time.time() - began - whole_takes:.1f} s", flush=True)
    code = running.wait()
    same = (folder / "whole.safetensors").read_bytes() == (folder / "killed.safetensors").read_bytes() if code == 0 else False
    print(f"killed {killed} times, ended with {code}, {'the same to the bit' if same else 'NOT the same'}")
    if code != 0 or not same:
        raise SystemExit(1)


main()
