#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): readNetFromONNX does not look at count_include_pad of AveragePool. Windows at the edge are divided by how many
# of their elements lie in the map, without a word: 2.25 times what the model says in a corner, 1.5 times along an edge. An average with padding, as PyTorch
# has it unless count_include_pad=False is said, comes out larger all around. With a layer Pad in front and no padding of its own it is right.
# Seen on Debian 12, ones of 4 x 4, windows of 3 x 3, padding 1, the first row:
#   count_include_pad 0:  1.0000 1.0000 1.0000 1.0000
#   count_include_pad 1:  1.0000 1.0000 1.0000 1.0000 where ONNX says 0.4444 0.6667 0.6667 0.4444
#   Pad in front:         0.4444 0.6667 0.6667 0.4444
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
cat > average.py <<'PY'
import sys
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

x = np.ones((1, 1, 4, 4), np.float32)
framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
formula = np.array([[framed[0, 0, i:i + 3, j:j + 3].sum() / 9 for j in range(4)] for i in range(4)])


def first_row(nodes, weights=()):
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
    graph = helper.make_graph(nodes, 'g', [value('x')], [value('y')], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    net.setInput(x)
    return net.forward()[0, 0, 0]


def average(bottom, **more):
    return helper.make_node('AveragePool', [bottom], ['y'], kernel_shape=[3, 3], **more)


text = lambda row: ' '.join(f'{v:.4f}' for v in row)
without, counted = (first_row([average('x', pads=[1, 1, 1, 1], count_include_pad=n)]) for n in (0, 1))
pads = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), 'pads')
padded = first_row([helper.make_node('Pad', ['x', 'pads'], ['p']), average('p')], [pads])
print('count_include_pad 0: ', text(without))
print('count_include_pad 1: ', text(counted), 'where ONNX says', text(formula[0]))
print('Pad in front:        ', text(padded))
if not (np.allclose(counted, without) and np.allclose(padded, formula[0])):
    sys.exit('OpenCV does otherwise now')
PY
/usr/bin/python3 average.py
