#!/usr/bin/env bash
# PyTorch 1.13.1 (Debian's package python3-torch): torch.onnx.export writes x // 2 (torch.floor_divide) of a float tensor as Div, Cast to int64, Cast back,
# which rounds towards 0. PyTorch itself rounds down since 1.13, as its documentation says, and as Python does: every quotient below 0 that is no whole
# number is one more in the exported model, without a warning. torch.floor(x / 2) is exported as it computes.
# Seen on Debian 12, with onnxruntime 1.30.0:
#   x         -3 -1 1 3
#   PyTorch   -2 -1 0 1
#   exported  -1 0 0 1
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
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnxruntime==1.30.0
cat > export.py <<'PY'
import warnings
warnings.filterwarnings('error')
import json
import torch

class Halves(torch.nn.Module):
    def forward(self, x):
        return x // 2

x = torch.tensor([-3.0, -1.0, 1.0, 3.0])
torch.onnx.export(Halves(), x, 'm.onnx', opset_version=14, input_names=['x'])
with open('torch.json', 'w') as file:
    json.dump([x.tolist(), Halves()(x).tolist()], file)
PY
cat > run.py <<'PY'
import json
import numpy as np
import onnxruntime

x, want = (np.array(row, np.float32) for row in json.load(open('torch.json')))
got = onnxruntime.InferenceSession('m.onnx', providers=['CPUExecutionProvider']).run(None, {'x': x})[0]
for name, row in (('x', x), ('PyTorch', want), ('exported', got)):
    print(f'{name:<9}', *(f'{v:.0f}' for v in row + 0.0))
if not (np.array_equal(want, [-2, -1, 0, 1]) and np.array_equal(got, [-1, 0, 0, 1])):
    raise SystemExit('PyTorch does otherwise now')
PY
/usr/bin/python3 export.py
bin/python run.py
