#!/usr/bin/env bash
# onnxruntime joins a Pad of zeros with the MaxPool behind it (its rewriting "PadFusion", on by default): the zeros become padding of the pool, which takes no
# part in a maximum. Where all numbers of a window are below 0 the result is another one, without a word. Without optimizations, and by ONNX' own reference,
# the zeros count.
# Seen with onnxruntime 1.30.0 and onnx 1.23.1, [-3 -2 -1] with a zero at each side, the largest of two neighbours:
#   onnxruntime:             -3 -2 -1 -1
#   without optimizations:   0 -2 -1 0
#   ONNX' reference:         0 -2 -1 0
# It joins them past a product with 1 or a sum with 0, too. It compares bytes of the frame's number with 0: a frame of -0 it leaves alone (export/onnx).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnx==1.23.1 onnxruntime==1.30.0
cat > pad.py <<'PY'
import sys
import numpy as np
import onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
pads = helper.make_tensor('pads', TensorProto.INT64, [8], [0, 0, 0, 1, 0, 0, 0, 1])
nodes = [helper.make_node('Pad', ['x', 'pads'], ['p']), helper.make_node('MaxPool', ['p'], ['y'], kernel_shape=[1, 2])]
value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, width])
graph = helper.make_graph(nodes, 'g', [value('x', 3)], [value('y', 4)], [pads])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
onnx.checker.check_model(model)
x = {'x': np.array([-3, -2, -1], dtype=np.float32).reshape(1, 1, 1, 3)}
def run(level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider']).run(None, x)[0].ravel()
levels = onnxruntime.GraphOptimizationLevel
rows = {'onnxruntime:': run(levels.ORT_ENABLE_ALL), 'without optimizations:': run(levels.ORT_DISABLE_ALL), "ONNX' reference:": ReferenceEvaluator(model).run(None, x)[0].ravel()}
for name, row in rows.items(): print(f'{name:24}', *(f'{v:g}' for v in row))
if [list(row) for row in rows.values()] != [[-3, -2, -1, -1], [0, -2, -1, 0], [0, -2, -1, 0]]: sys.exit('they do otherwise now')
PY
bin/python pad.py
