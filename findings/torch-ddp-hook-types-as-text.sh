#!/usr/bin/env bash
# PyTorch 1.13.1 (Debian's package python3-torch): DistributedDataParallel.register_comm_hook takes a hook whose parameter is annotated with
# dist.GradBucket, and refuses the same function in a file that begins with `from __future__ import annotations` (PEP 563), where annotations are texts: it
# compares what inspect.signature gives, a string there, with the class. Without annotations it takes the hook in both.
# Seen on Debian 12:
#   plain file:                            taken
#   from __future__ import annotations:    ValueError: Communication hook: bucket annotation should be dist.GradBucket.
#   the same without annotations:          taken
set -euo pipefail
version='1.13.1+dfsg-4'
if [ "$(dpkg-query -W -f '${Version}' python3-torch 2> /dev/null)" != "$version" ]; then echo "it wants Debian's package: apt-get install python3-torch=$version"; exit 2; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > types.txt <<'PY'
import torch
import torch.distributed as dist

def hook(state: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    return dist.all_reduce(bucket.buffer(), async_op=True).get_future().then(lambda done: done.value()[0])
PY
cp types.txt hook_plain.py
(echo 'from __future__ import annotations'; cat types.txt) > hook_future.py
sed 's/state: object, bucket: dist.GradBucket) -> .*/state, bucket):/' hook_future.py > hook_untyped.py
cat > run.py <<'PY'
import importlib
import os
import sys
import torch
import torch.distributed as dist

os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='0', RANK='0', WORLD_SIZE='1')
dist.init_process_group('gloo', init_method='file://' + os.path.abspath('store'), rank=0, world_size=1)
found = []
for name, what in (('plain', 'plain file'), ('future', 'from __future__ import annotations'), ('untyped', 'the same without annotations')):
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    try:
        net.register_comm_hook(None, importlib.import_module(f'hook_{name}').hook)
        said = 'taken'
    except ValueError as error:
        said = f'ValueError: {error}'
    found.append(said)
    print(f"{what + ':':<38} {said}", flush=True)
if found != ['taken', 'ValueError: Communication hook: bucket annotation should be dist.GradBucket.', 'taken']:
    print('PyTorch does otherwise now', flush=True)
    os._exit(1)
os._exit(0)
PY
/usr/bin/python3 run.py
