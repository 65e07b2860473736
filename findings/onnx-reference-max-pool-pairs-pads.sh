#!/usr/bin/env bash
# onnx 1.23.1: the reference evaluator's MaxPool reads `pads` as a pair an axis, [top, bottom, left, right], where the specification has all begins in front of
# all ends, [top, left, bottom, right], and where its own AveragePool and Conv read it so. Padding that is not the same on all sides goes to other sides: what
# comes out has other numbers and mostly another shape, without a word. Pads of one number everywhere are right, so that most tests pass.
# Seen with onnx 1.23.1 and onnxruntime 1.30.0, a map of 2 x 3 with the numbers 0 to 5, the largest of 2 x 2:
#   pads [0, 1, 0, 1], left and right:
#     onnxruntime:     1 x 4: 3 4 5 5
#     ONNX' reference: 2 x 3: 4 5 5 4 5 5
#   pads [1, 0, 1, 0], above and below:
#     onnxruntime:     3 x 2: 1 2 4 5 4 5
#     ONNX' reference: 2 x 3: 0 1 2 3 4 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnx==1.23.1 onnxruntime==1.30.0
cat > pads.py <<'PY'
import sys
import numpy as np
import onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

def both(op, pads):
    node = helper.make_node(op, ['x'], ['y'], kernel_shape=[2, 2], pads=pads)
    graph = helper.make_graph([node], 'g', [value('x', [1, 1, 2, 3])], [value('y', [1, 1, None, None])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, {'x': x})[0], ReferenceEvaluator(model).run(None, {'x': x})[0]

cases = [([0, 1, 0, 1], 'left and right', [[3, 4, 5, 5]], [[4, 5, 5], [4, 5, 5]]), ([1, 0, 1, 0], 'above and below', [[1, 2], [4, 5], [4, 5]], [[0, 1, 2], [3, 4, 5]])]
changed = False
for pads, where, *wanted in cases:
    print(f'pads {pads}, {where}:')
    for name, got, want in zip(('onnxruntime:', "ONNX' reference:"), both('MaxPool', pads), wanted):
        print(f'  {name:16} {got.shape[2]} x {got.shape[3]}:', *(f'{v:g}' for v in got.ravel()))
        changed |= got[0, 0].tolist() != want
    # AveragePool of the reference has the sides as they are.
    one, other = both('AveragePool', pads)
    changed |= one.shape != other.shape or not np.allclose(one, other)
if changed:
    sys.exit('they do otherwise now')
PY
bin/python pads.py
