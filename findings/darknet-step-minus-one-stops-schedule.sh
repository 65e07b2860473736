#!/usr/bin/env bash
# Darknet of 2018-09-14 (Debian's package darknet): `steps=-1,...` in [net], as its own yolov2-tiny-voc.cfg has it (steps=-1,100,20000,30000, scales=.1,10,.1,.1),
# means that the rate never changes. -1 is compared without sign with the number of updates, is never reached, and steps behind it are not looked at: instead of a
# tenth of the rate at first and a hundredth at the end, all of the training runs at learning_rate.
# Seen on Debian 12:
#   update       1   rate 0.001    (the file says 0.0001)
#   update   10000   rate 0.001    (the file says 0.001)
#   update   35000   rate 0.001    (the file says 0.00001)
set -euo pipefail
version='0.0.0+git20180914.61c9d02e-2+b4'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq "darknet=$version" 2> /dev/null
dpkg-deb -x darknet_*.deb .
library=usr/lib/darknet/libdarknet.so
if ldd "$library" | grep -q 'not found'; then echo "its libraries are missing: apt-get install darknet=$version"; exit 2; fi
cfg=usr/share/darknet/cfg/yolov2-tiny-voc.cfg
grep -q '^steps=-1,100,20000,30000' "$cfg"
# The head of that file, with a layer that costs nothing.
{ sed '/^\[convolutional\]/,$d' "$cfg" | sed 's/^\(width\|height\)=.*/\1=8/'; printf '[avgpool]\n'; } > head.cfg
cat > rates.py <<'PY'
import ctypes, sys
class Head(ctypes.Structure):
    _fields_ = [('n', ctypes.c_int), ('batch', ctypes.c_int), ('seen', ctypes.POINTER(ctypes.c_size_t)), ('t', ctypes.c_void_p),
                ('epoch', ctypes.c_float), ('subdivisions', ctypes.c_int)]
lib = ctypes.CDLL(sys.argv[1])
lib.load_network.restype = ctypes.POINTER(Head)
lib.get_current_rate.restype = ctypes.c_float
lib.get_current_rate.argtypes = [ctypes.POINTER(Head)]
net = lib.load_network(b'head.cfg', None, 0)
def rate(update):
    net.contents.seen[0] = update * net.contents.batch * net.contents.subdivisions
    return round(lib.get_current_rate(net), 9)
says = {1: 0.0001, 10000: 0.001, 35000: 0.00001}
seen = {update: rate(update) for update in says}
for update, r in seen.items(): print(f'update {update:7d}   rate {r:g}   (the file says {says[update]:g})')
if set(seen.values()) != {0.001}: sys.exit('Darknet does otherwise now')
PY
python3 rates.py "$library" 2> /dev/null
