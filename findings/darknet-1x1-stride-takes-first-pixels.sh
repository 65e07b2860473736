#!/usr/bin/env bash
# Darknet of 2018-09-14 (Debian's package darknet), on a CPU: a [convolutional] section of size 1 with a stride does not step over the map. It says that its
# output is a quarter as large, and computes it of the first numbers of the map in memory, rows and channels mixed: those of channel 1 are read from what
# still belongs to channel 0. (forward_convolutional_layer skips im2col where size is 1.)
# Seen on Debian 12, a map of 2 channels of 4 x 4 with the numbers 0 to 31, one filter that is channel 0 + 1000 x channel 1:
#   Darknet:           4000 5001 6002 7003
#   every other pixel: 16000 18002 24008 26010
set -euo pipefail
version='0.0.0+git20180914.61c9d02e-2+b4'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq "darknet=$version" 2> /dev/null
dpkg-deb -x darknet_*.deb .
library=usr/lib/darknet/libdarknet.so
# It is linked with Debian's OpenCV, which the package's dependencies bring.
if ldd "$library" | grep -q 'not found'; then echo "its libraries are missing: apt-get install darknet=$version"; exit 2; fi
cat > strided.py <<'PY'
import ctypes, struct, sys
lib = ctypes.CDLL(sys.argv[1])
lib.load_network.restype = ctypes.c_void_p
lib.network_predict.restype = ctypes.POINTER(ctypes.c_float)
lib.network_predict.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_float)]
open('net.cfg', 'w').write('[net]\nwidth=4\nheight=4\nchannels=2\nbatch=1\n[convolutional]\nfilters=1\nsize=1\nstride=2\nactivation=linear\n')
# Version 0.2.0, nothing seen; a bias of 0, weights 1 and 1000.
open('net.weights', 'wb').write(struct.pack('<iiiqfff', 0, 2, 0, 0, 0, 1, 1000))
net = lib.load_network(b'net.cfg', b'net.weights', 0)
x = (ctypes.c_float * 32)(*range(32))
seen = [int(v) for v in lib.network_predict(net, x)[0:4]]
want = [int(x[4 * r + c] + 1000 * x[16 + 4 * r + c]) for r in (0, 2) for c in (0, 2)]
print('Darknet:          ', *seen)
print('every other pixel:', *want)
if seen != [4000, 5001, 6002, 7003]: sys.exit('Darknet does otherwise now')
PY
python3 strided.py "$library" 2> /dev/null
