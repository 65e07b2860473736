#!/usr/bin/env bash
# OpenCV 4.6.0 (Debian's package python3-opencv): a BatchNorm or PReLU behind an Eltwise of values [N, C] (of inner products, say) is joined with it, as it is by
# default, and then takes the numbers of channel 0 for all channels. With enableFusion(False), and of maps [N, C, H, W], it is right.
# Seen on Debian 12, largest distance of Eltwise SUM -> layer from its formula, and from the formula with the numbers of channel 0:
#   BatchNorm, as it is:       1.5042 from the formula, 0.0000 with channel 0 for all
#   BatchNorm, without fusion: 0.0000 from the formula, 1.5042 with channel 0 for all
#   PReLU, as it is:           3.1250 from the formula, 0.0000 with channel 0 for all
#   PReLU, without fusion:     0.0000 from the formula, 3.1250 with channel 0 for all
set -euo pipefail
version='4.6.0+dfsg-12'
if [ "$(dpkg-query -W -f '${Version}' python3-opencv 2> /dev/null)" != "$version" ]; then echo "it wants Debian's package: apt-get install python3-opencv=$version"; exit 2; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > channels.py <<'PY'
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

def blob(a):
    a = np.asarray(a, np.float32)
    return field(7, field(7, field(1, b''.join(map(varint, a.shape)))) + field(5, a.tobytes()))

rng = np.random.default_rng(1)
x = rng.standard_normal((3, 6)).astype(np.float32)
weights = [rng.standard_normal((4, 6)).astype(np.float32) for _ in range(2)]
mean, var, slope = rng.standard_normal(4), np.abs(rng.standard_normal(4)) + 0.5, rng.standard_normal(4)
total = x @ weights[0].T + x @ weights[1].T

def run(layer, blobs, fusion):
    inner = ' '.join(f'layer {{ name: "{n}" type: "InnerProduct" bottom: "x" top: "{n}" inner_product_param {{ num_output: 4 bias_term: false }} }}' for n in 'pq')
    text = (f'input: "x" input_shape {{ dim: 3 dim: 6 }} {inner} layer {{ name: "e" type: "Eltwise" bottom: "p" bottom: "q" top: "e" '
            f'eltwise_param {{ operation: SUM }} }} layer {{ name: "y" bottom: "e" top: "y" {layer} }}')
    model = b''.join(field(100, field(1, n.encode()) + b''.join(map(blob, given))) for n, given in [('p', weights[:1]), ('q', weights[1:]), ('y', blobs)])
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8), np.frombuffer(model, np.uint8))
    net.enableFusion(fusion)
    net.setInput(x)
    return net.forward()

layers = {
    'BatchNorm': ('type: "BatchNorm" batch_norm_param { use_global_stats: true eps: 0.001 }', [mean, var, np.ones(1)],
                  lambda c: (total - mean[c]) / np.sqrt(var[c] + 0.001)),
    'PReLU': ('type: "PReLU"', [slope], lambda c: np.where(total > 0, total, slope[c] * total)),
}
changed = False
for name, (layer, blobs, formula) in layers.items():
    for fusion in (True, False):
        got = run(layer, blobs, fusion)
        far, first = float(np.abs(got - formula(range(4))).max()), float(np.abs(got - formula([0] * 4)).max())
        print(f'{name}, {"as it is" if fusion else "without fusion"}:'.ljust(26), f"{far:.4f} from the formula, {first:.4f} with channel 0 for all")
        changed |= not (far > 0.1 and first < 1e-4) if fusion else not far < 1e-4
if changed:
    sys.exit('OpenCV does otherwise now')
PY
/usr/bin/python3 channels.py
