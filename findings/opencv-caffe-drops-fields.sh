#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): readNetFromCaffe takes fields of BVLC/caffe's caffe.proto and computes as if they were not there, without
# a word: base, scale and shift of log_param, k of lrn_param, transpose of inner_product_param; eps of mvn_param is added to the variance, where
# Caffe adds it to the deviation. What a net says then is another net's.
# Seen on Debian 12, largest distance from Caffe's formula, and from the formula without the field:
#   Log base 2, shift 2:      2.0036 from Caffe's, 0.0000 from ln x
#   LRN k 4:                  0.5752 from Caffe's, 0.0000 with k 1
#   InnerProduct transpose:   7.5433 from Caffe's, 0.0000 with the weight read as [out, in]
#   MVN eps 0.5:              0.2988 from Caffe's, 0.0000 with eps in the root
set -euo pipefail
version='4.6.0+dfsg-12'
if [ "$(dpkg-query -W -f '${Version}' python3-opencv 2> /dev/null)" != "$version" ]; then echo "it wants Debian's package: apt-get install python3-opencv=$version"; exit 2; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > fields.py <<'PY'
import sys
import cv2
import numpy as np

def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])

def field(number, data):
    return varint(number * 8 + 2) + varint(len(data)) + data

def run(layer, x, weight=None):
    dims = ' '.join(f'dim: {d}' for d in x.shape)
    text = f'input: "x" input_shape {{ {dims} }} layer {{ name: "l" bottom: "x" top: "y" {layer} }}'
    blob = b'' if weight is None else field(7, field(7, field(1, b''.join(map(varint, weight.shape)))) + field(5, weight.tobytes()))
    model = field(100, field(1, b'l') + blob)
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8), np.frombuffer(model, np.uint8))
    net.setInput(x)
    return net.forward()

rng = np.random.default_rng(1)
x = rng.standard_normal((1, 5, 3, 3)).astype(np.float32)
positive = np.abs(x) + np.float32(0.5)
square = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
around = square[:, :-2] + square[:, 1:-1] + square[:, 2:]
weight = rng.standard_normal((45, 4)).astype(np.float32)
centred = x - x.mean((2, 3), keepdims=True)
cases = {
    'Log base 2, shift 2': (run('type: "Log" log_param { base: 2 shift: 2 }', positive), np.log2(2 + positive), np.log(positive)),
    'LRN k 4': (run('type: "LRN" lrn_param { local_size: 3 alpha: 0.6 beta: 0.5 k: 4 }', x), x * (4 + 0.2 * around) ** -0.5, x * (1 + 0.2 * around) ** -0.5),
    'InnerProduct transpose': (
        run('type: "InnerProduct" inner_product_param { num_output: 4 bias_term: false transpose: true }', x, weight),
        x.reshape(1, -1) @ weight, x.reshape(1, -1) @ weight.reshape(4, 45).T),
    'MVN eps 0.5': (run('type: "MVN" mvn_param { eps: 0.5 }', x), centred / (x.std((2, 3), keepdims=True) + 0.5), centred / np.sqrt(x.var((2, 3), keepdims=True) + 0.5)),
}
changed = False
for name, (got, caffe, without) in cases.items():
    far, near = float(np.abs(got - caffe).max()), float(np.abs(got - without).max())
    print(f'{name + ":":<25} {far:.4f} from Caffe\'s, {near:.4f} from the formula without the field')
    changed |= not (far > 0.1 and near < 1e-4)
if changed:
    sys.exit('OpenCV does otherwise now')
PY
/usr/bin/python3 fields.py
