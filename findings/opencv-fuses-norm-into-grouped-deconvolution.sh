#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): BatchNormalization behind a ConvTranspose of several groups is joined with it, and channels get the factors of
# others, without a word. With enableFusion(False) it is right, and of one group either way.
# Seen on Debian 12, largest distance from the formula, with a convolution of 1x1 of ones (sums of the channels of each group):
#   group 1, as it is:        0.00000
#   group 1, without fusion:  0.00000
#   group 2, as it is:        7.00000
#   group 2, without fusion:  0.00000
set -euo pipefail
for wanted in 'python3-opencv 4.6.0+dfsg-12' 'python3-onnx 1.12.0-2+b4'; do
  if [ "$(dpkg-query -W -f '${Package} ${Version}' "${wanted% *}" 2> /dev/null)" != "$wanted" ]; then
    echo "it wants Debian's package: apt-get install ${wanted/ /=}"
    exit 2
  fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > norm.py <<'PY'
import sys
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

scale = np.array([1, 2, 3, 4], np.float32)
x = np.arange(1, 5, dtype=np.float32).reshape(1, 4, 1, 1) * np.ones((1, 4, 2, 2), np.float32)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
changed = False
for group in (1, 2):
    weights = {'w': np.ones((4, 4 // group, 1, 1), np.float32), 'scale': scale, 'bias': zeros, 'mean': zeros, 'var': ones}
    nodes = [
        helper.make_node('ConvTranspose', ['x', 'w'], ['d'], kernel_shape=[1, 1], group=group),
        helper.make_node('BatchNormalization', ['d', 'scale', 'bias', 'mean', 'var'], ['y'], epsilon=0.0),
    ]
    graph = helper.make_graph(nodes, 'g', [value('x')], [value('y')], [numpy_helper.from_array(w, k) for k, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    sums = np.repeat(x.reshape(1, group, 4 // group, 2, 2).sum(2), 4 // group, axis=1)
    formula = sums * scale[:, None, None]
    for fused, how in ((True, 'as it is'), (False, 'without fusion')):
        net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
        net.enableFusion(fused)
        net.setInput(x)
        far = float(np.abs(net.forward() - formula).max())
        print(f'{f"group {group}, {how}:":25} {far:.5f}')
        changed |= (far > 1e-3) != (fused and group > 1)
if changed:
    sys.exit('OpenCV does otherwise now')
PY
/usr/bin/python3 norm.py
