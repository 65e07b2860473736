#!/usr/bin/env bash
# PyTorch 1.13.1 (Debian's package python3-torch): torch.onnx.export writes logsigmoid (torch.nn.LogSigmoid) as Log(Sigmoid(x)), which is -inf from about
# x = -104 on in float32, where the sigmoid is 0. PyTorch itself computes min(x, 0) - log(1 + exp(-|x|)), which is x there. ONNX has an equal of that since
# opset 1: Neg(Softplus(Neg(x))).
# Seen on Debian 12:
#   x      PyTorch  exported model
#   -1     -1.313   -1.313
#   -120   -120     -inf
set -euo pipefail
for wanted in 'python3-torch 1.13.1+dfsg-4' 'python3-onnx 1.12.0-2+b4'; do
  if [ "$(dpkg-query -W -f '${Package} ${Version}' "${wanted% *}" 2> /dev/null)" != "$wanted" ]; then
    echo "it wants Debian's package: apt-get install ${wanted/ /=}"
    exit 2
  fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > run.py <<'PY'
import warnings
warnings.filterwarnings('ignore')
import numpy as np
import onnx
import torch

x = torch.tensor([-1.0, -120.0])
torch.onnx.export(torch.nn.LogSigmoid(), x, 'm.onnx', opset_version=14, input_names=['x'])
value = x.numpy()
for node in onnx.load('m.onnx').graph.node:
    # The operators as ONNX defines them, in float32.
    with np.errstate(all='ignore'):
        value = {'Sigmoid': lambda v: 1 / (1 + np.exp(-v)), 'Log': np.log, 'Neg': np.negative, 'Softplus': lambda v: np.log1p(np.exp(v))}[node.op_type](value)
want = torch.nn.LogSigmoid()(x).numpy()
print('x      PyTorch  exported model')
for a, b, c in zip(x.tolist(), want, value):
    print(f'{a:<7.4g}{b:<9.4g}{c:.4g}')
if not (np.isclose(want[1], -120) and np.isneginf(value[1])):
    raise SystemExit('PyTorch does otherwise now')
PY
/usr/bin/python3 run.py
