#!/usr/bin/env bash
# PyTorch 1.13.1 (Debian's package python3-torch): torch.onnx.export of a circular padding (torch.nn.functional.pad(mode='circular'), Conv2d(padding_mode='circular'))
# puts other rows in front than PyTorch itself. In front of a map stand its last rows; the model takes those before the last one, Slice(starts=-(pad + 1), ends=-1)
# where Slice(starts=-pad, ends=size) is right. Numbers of rows are the same, so that the model runs everywhere and gives other numbers, without a word. What
# stands behind the map is right.
# Seen on Debian 12, of the row 0 1 2 3 4 5:
#   pad  PyTorch                   exported model
#   1    5 0 1 2 3 4 5 0           4 0 1 2 3 4 5 0
#   2    4 5 0 1 2 3 4 5 0 1       3 4 0 1 2 3 4 5 0 1
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
import onnx.numpy_helper
import torch

class Pad(torch.nn.Module):
    def __init__(self, pad):
        super().__init__()
        self.pad = pad

    def forward(self, x):
        return torch.nn.functional.pad(x, (self.pad, self.pad), mode='circular')

def run(model, x):
    """The two operators of the model, as ONNX defines them."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    values['x'] = x
    for node in model.graph.node:
        given = [values[name] for name in node.input]
        if node.op_type == 'Constant':
            out = onnx.numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == 'Slice':
            data, starts, ends, axes = given[:4]
            out = data[tuple(dict(zip(axes.tolist(), map(slice, starts.tolist(), ends.tolist()))).get(d, slice(None)) for d in range(data.ndim))]
        elif node.op_type == 'Concat':
            out = np.concatenate(given, axis=node.attribute[0].i)
        else:
            raise SystemExit(f'the model has a {node.op_type} now')
        values[node.output[0]] = out
    return values[model.graph.output[0].name]

x = torch.arange(6.0).reshape(1, 1, 6)
found = []
print('pad  PyTorch                   exported model')
for pad in (1, 2):
    torch.onnx.export(Pad(pad), x, 'pad.onnx', opset_version=14, input_names=['x'])
    rows = [' '.join(str(int(v)) for v in np.asarray(a).ravel()) for a in (Pad(pad)(x), run(onnx.load('pad.onnx'), x.numpy()))]
    found.append(rows)
    print(f'{pad}    {rows[0]:<26}{rows[1]}')
if found != [['5 0 1 2 3 4 5 0', '4 0 1 2 3 4 5 0'], ['4 5 0 1 2 3 4 5 0 1', '3 4 0 1 2 3 4 5 0 1']]:
    raise SystemExit('PyTorch does otherwise now')
PY
/usr/bin/python3 run.py
