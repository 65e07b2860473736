#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): readNetFromONNX of InstanceNormalization gives scale and bias to the first sample of a batch alone. All others are
# normalized and left so, as with scale 1 and bias 0, without a word: a picture's result changes with its place in the batch. (MVN takes the layer behind it
# into itself and counts its channels over all samples.) With enableFusion(False) all samples are right.
# Seen on Debian 12, largest distance of a batch of three equal maps from the formula, and from the formula without scale and bias:
#   sample 0, as it is:       0.00004 from the formula, 5.57407 without scale and bias
#   sample 1, as it is:       5.57411 from the formula, 0.00000 without scale and bias
#   sample 2, as it is:       5.57411 from the formula, 0.00000 without scale and bias
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

scale, bias = np.array([1, 2, 3], np.float32), np.array([0.1, 0.2, 0.3], np.float32)
x = np.tile(np.random.default_rng(1).standard_normal((1, 3, 4, 4)).astype(np.float32), (3, 1, 1, 1))
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
node = helper.make_node('InstanceNormalization', ['x', 'scale', 'bias'], ['y'], epsilon=1e-5)
weights = [numpy_helper.from_array(scale, 'scale'), numpy_helper.from_array(bias, 'bias')]
model = helper.make_model(helper.make_graph([node], 'g', [value('x')], [value('y')], weights), opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
onnx.checker.check_model(model, full_check=True)

plain = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
formula = plain * scale[:, None, None] + bias[:, None, None]
away = lambda a, b: float(np.abs(a - b).max())
changed = False
for fused, how in ((True, 'as it is'), (False, 'without fusion')):
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    net.enableFusion(fused)
    net.setInput(x)
    y = net.forward()
    for i in range(3):
        far, near = away(y[i], formula[i]), away(y[i], plain[i])
        print(f'{f"sample {i}, {how}:":25} {far:.5f} from the formula, {near:.5f} without scale and bias')
        changed |= (far < 1e-3, near < 1e-3) != ((False, True) if fused and i > 0 else (True, False))
if changed:
    sys.exit('OpenCV does otherwise now')
PY
/usr/bin/python3 norm.py
