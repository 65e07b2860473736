"""Runs Darknet's library (Debian's package darknet) on a .cfg and its .weights: predictions, or a training step.

    darknet-reference.py LIBRARY < requests.json

Each request: cfg, weights (paths), input (path of float32), and either output (path that predictions are written to) or
truth (path of float32), updates (a number) and trained (path that the new .weights are written to). Prints the losses as JSON.
"""
import ctypes, json, sys

class Network(ctypes.Structure):
    """The head of Darknet's `network` of 2018 (darknet.h), as far as `cost`."""
    _fields_ = [(name, kind) for names, kind in (
        ('n batch', ctypes.c_int), ('seen t', ctypes.c_void_p), ('epoch', ctypes.c_float), ('subdivisions', ctypes.c_int),
        ('layers output', ctypes.c_void_p), ('policy', ctypes.c_int), ('learning_rate momentum decay gamma scale power', ctypes.c_float),
        ('time_steps step max_batches', ctypes.c_int), ('scales steps', ctypes.c_void_p), ('num_steps burn_in adam', ctypes.c_int),
        ('B1 B2 eps', ctypes.c_float), ('inputs outputs truths notruth h w c max_crop min_crop', ctypes.c_int), ('max_ratio min_ratio', ctypes.c_float),
        ('center', ctypes.c_int), ('angle aspect exposure saturation hue', ctypes.c_float), ('random gpu_index', ctypes.c_int),
        ('hierarchy', ctypes.c_void_p), ('input truth', ctypes.POINTER(ctypes.c_float)),
    ) for name in names.split()]

lib = ctypes.CDLL(sys.argv[1])
lib.load_network.restype = ctypes.POINTER(Network)
lib.load_network.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
lib.network_predict.restype = ctypes.POINTER(ctypes.c_float)
lib.network_predict.argtypes = [ctypes.POINTER(Network), ctypes.POINTER(ctypes.c_float)]
lib.train_network_datum.restype = ctypes.c_float
lib.train_network_datum.argtypes = [ctypes.POINTER(Network)]
lib.get_current_rate.restype = ctypes.c_float
lib.get_current_rate.argtypes = [ctypes.POINTER(Network)]
lib.save_weights.argtypes = [ctypes.POINTER(Network), ctypes.c_char_p]

def floats(path):
    data = open(path, 'rb').read()
    return (ctypes.c_float * (len(data) // 4)).from_buffer_copy(data)

answers = []
for ask in json.load(sys.stdin):
    net = lib.load_network(ask['cfg'].encode(), ask.get('weights', '').encode(), 0)
    n = net.contents
    given = floats(ask['input'])
    assert len(given) == n.inputs * n.batch, f"{ask['cfg']}: {len(given)} numbers given, {n.inputs} x {n.batch} wanted"
    if 'output' in ask:
        out = lib.network_predict(net, given)
        with open(ask['output'], 'wb') as file: file.write(ctypes.string_at(out, 4 * n.outputs * n.batch))
        answers.append({'outputs': n.outputs})
        continue
    truth = floats(ask['truth'])
    assert len(truth) == n.truths * n.batch, f"{ask['cfg']}: {len(truth)} numbers of truth, {n.truths} x {n.batch} wanted"
    losses, rates = [], []
    for _ in range(ask['updates'] * n.subdivisions):
        ctypes.memmove(n.input, given, ctypes.sizeof(given))
        ctypes.memmove(n.truth, truth, ctypes.sizeof(truth))
        losses.append(lib.train_network_datum(net))
        rates.append(lib.get_current_rate(net))
    lib.save_weights(net, ask['trained'].encode())
    answers.append({'losses': losses, 'rates': rates})
print(json.dumps(answers))
