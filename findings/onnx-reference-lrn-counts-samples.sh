#!/usr/bin/env bash
# onnx 1.23.1: the reference evaluator's LRN goes through as many channels as the batch has samples. One sample: channel 0 is normalized, and all others come out
# as they went in. Who checks a net like AlexNet or GoogLeNet against the reference on one picture finds the right runtime wrong; ONNX' own cases of LRN have
# five samples of five channels, where the two numbers are the same.
# Seen with onnx 1.23.1 and onnxruntime 1.30.0, channels 1 2 3 4, x / (1 + x^2) (a window of one channel, alpha, beta and bias 1):
#   formula, onnxruntime:           0.5 0.4 0.3 0.235
#   ONNX' reference, one sample:    0.5 2 3 4
#   ONNX' reference, two alike:     0.5 0.4 3 4
#   ONNX' reference, four alike:    0.5 0.4 0.3 0.235
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnx==1.23.1 onnxruntime==1.30.0
cat > lrn.py <<'PY'
import sys
import numpy as np
import onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

node = helper.make_node('LRN', ['x'], ['y'], size=1, alpha=1.0, beta=1.0, bias=1.0)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ['N', 4, 1, 1])
model = helper.make_model(helper.make_graph([node], 'g', [value('x')], [value('y')]), opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
channels = np.array([1, 2, 3, 4], np.float32)
formula = channels / (1 + channels**2)

def row(name, run, samples):
    x = np.tile(channels.reshape(1, 4, 1, 1), (samples, 1, 1, 1))
    y = run(None, {'x': x})[0]
    print(f'{name + ":":31}', *(f'{v:.3g}' for v in y[0].ravel()))
    return [bool(same) for same in np.isclose(y[0].ravel(), formula)]

right = [row('formula, onnxruntime', session.run, 1)]
for count, name in ((1, 'one sample'), (2, 'two alike'), (4, 'four alike')):
    right.append(row(f"ONNX' reference, {name}", ReferenceEvaluator(model).run, count))
if right != [[True] * 4, [True, False, False, False], [True, True, False, False], [True] * 4]:
    sys.exit('they do otherwise now')
PY
bin/python lrn.py
