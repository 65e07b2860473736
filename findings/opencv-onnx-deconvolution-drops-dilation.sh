#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): readNetFromONNX takes `dilations` of ConvTranspose (of Conv they are computed), and computes as if there
# were none, without a word: another result of another size.
# Seen on Debian 12, the row 1 2 3 by the filter 1 10 with dilation 2:
#   specification, onnxruntime 1.30.0: 1 2 13 20 30
#   OpenCV:                            1 12 23 30
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
python3 -m venv . > /dev/null
bin/pip install --quiet --disable-pip-version-check onnxruntime==1.30.0
cat > opencv.py <<'PY'
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

row = np.array([1, 2, 3], np.float32).reshape(1, 1, 1, 3)

def model(op, width):
    value = lambda name, w: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, w])
    node = helper.make_node(op, ['x', 'w'], ['y'], kernel_shape=[1, 2], dilations=[1, 2])
    weight = numpy_helper.from_array(np.array([1, 10], np.float32).reshape(1, 1, 1, 2), 'w')
    graph = helper.make_graph([node], 'g', [value('x', 3)], [value('y', width)], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()

def opencv(bytes):
    net = cv2.dnn.readNetFromONNX(np.frombuffer(bytes, np.uint8))
    net.setInput(row)
    return net.forward().ravel()

turned = model('ConvTranspose', 5)
open('m.onnx', 'wb').write(turned)
np.save('opencv.npy', opencv(turned))
# Of a convolution the dilation counts: 1 + 10 x 3.
if opencv(model('Conv', 1)).tolist() != [31]: raise SystemExit('OpenCV does otherwise now')
PY
cat > compare.py <<'PY'
import numpy as np
import onnxruntime

x = np.array([1, 2, 3], np.float32).reshape(1, 1, 1, 3)
right = onnxruntime.InferenceSession('m.onnx', providers=['CPUExecutionProvider']).run(None, {'x': x})[0].ravel()
seen = np.load('opencv.npy')
for name, y in (('specification, onnxruntime 1.30.0:', right), ('OpenCV:', seen)): print(f'{name:34}', *(f'{v:g}' for v in y))
if right.tolist() != [1, 2, 13, 20, 30] or seen.tolist() != [1, 12, 23, 30]: raise SystemExit('they do otherwise now')
PY
/usr/bin/python3 opencv.py
bin/python compare.py
