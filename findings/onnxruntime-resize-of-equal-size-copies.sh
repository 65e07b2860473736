#!/usr/bin/env bash
# onnxruntime: a Resize whose scales leave the size as it is (3 x 1.3 is 3.9, cut to 3) copies its input, while the specification, and ONNX' own reference,
# interpolate at (h + 1/2) / 1.3 - 1/2. A size of 3 to 4 by the same scale is interpolated by both, so that a net changes its arithmetic with the size of
# its input.
# Seen with onnxruntime 1.30.0 and onnx 1.23.1, [0, 1, 2], linear, half_pixel, scale 1.3:
#   onnxruntime:      0 1 2
#   ONNX' reference:  0 0.654 1.423
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnx==1.23.1 onnxruntime==1.30.0
cat > resize.py <<'PY'
import sys
import numpy as np
import onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
scales = helper.make_tensor('scales', TensorProto.FLOAT, [4], [1, 1, 1, 1.3])
node = helper.make_node('Resize', ['x', '', 'scales'], ['y'], mode='linear', coordinate_transformation_mode='half_pixel')
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 3])
graph = helper.make_graph([node], 'g', [value('x')], [value('y')], [scales])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
onnx.checker.check_model(model)
x = {'x': np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)}
one = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider']).run(None, x)[0].ravel()
two = ReferenceEvaluator(model).run(None, x)[0].ravel()
print('onnxruntime:     ', *(f'{v:.4g}' for v in one))
print("ONNX' reference: ", *(f'{v:.4g}' for v in two))
if not (np.array_equal(one, [0, 1, 2]) and np.allclose(two, [0, 0.65384615, 1.42307692], atol=1e-5)): sys.exit('they do otherwise now')
PY
bin/python resize.py
