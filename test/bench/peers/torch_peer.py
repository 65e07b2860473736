"""PyTorch's side of torch.mjs: requests as lines of JSON, an answer a line. Arrays travel in base64."""
import base64
import json
import sys
import time

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None

# Where it computes, and whether through torch.compile: told once, by `open`.
DEVICE = 'cpu'
COMPILE = False


def compiled(function):
    return torch.compile(function) if COMPILE else function


def there(array):
    """An array of NumPy's as a tensor where it is computed: the way there is part of an iteration, as it is for everybody."""
    return torch.from_numpy(array).to(DEVICE)


def decode(array):
    data = np.frombuffer(base64.b64decode(array['data']), dtype=array['type'])
    return data.reshape(array['shape']).copy()


def tensor(array, layout='channels_last'):
    """Images and the weights of convolutions in that layout, which is a matter of strides; channels last is best for most nets."""
    data = there(decode(array))
    return data.contiguous(memory_format=getattr(torch, layout)) if data.dim() == 4 else data


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.float32).tobytes()).decode()


def evaluate(request, p, image, training):
    """The net layer by layer. Running statistics in p are updated in training."""
    values = {'image': image}
    for layer in request['layers']:
        x = values[layer['inputs'][0]]
        op, name = layer['op'], layer['name']
        if op == 'conv':
            y = F.conv2d(x, p[name + '.weight'], p.get(name + '.bias'), layer['stride'], layer['pad'], 1, layer.get('groups', 1))
        elif op == 'deconv':
            y = F.conv_transpose2d(x, p[name + '.weight'], p.get(name + '.bias'), layer['stride'], layer['pad'],
                                   layer['outputPad'], layer.get('groups', 1))
        elif op == 'batchNorm':
            y = F.batch_norm(x, p[name + '.running_mean'], p[name + '.running_var'], p[name + '.gamma'], p[name + '.beta'],
                             training, layer.get('newest', request['newest']), layer.get('eps', request['eps']))
        elif op == 'scale':
            shape = (1, -1) + (1,) * (x.dim() - 2)
            y = x * p[name + '.weight'].view(shape) + p[name + '.bias'].view(shape)
        elif op == 'relu':
            y = F.relu(x)
        elif op == 'sigmoid':
            y = torch.sigmoid(x)
        elif op == 'silu':
            y = F.silu(x)
        elif op == 'leakyRelu':
            y = F.leaky_relu(x, layer['slope'])
        elif op == 'clip':
            y = F.hardtanh(x, layer['lo'], layer['hi'])
        elif op == 'concat':
            y = torch.cat([values[i] for i in layer['inputs']], 1)
        elif op == 'slice':
            y = x[:, layer['from']:layer.get('to')]
        elif op == 'add':
            y = x + values[layer['inputs'][1]]
        elif op in ('maxPool', 'avgPool'):
            window = (layer['kernel'], layer['stride'], layer['pad'])
            up = layer['round'] == 'ceil'
            y = (F.max_pool2d(x, *window, ceil_mode=up) if op == 'maxPool'
                 else F.avg_pool2d(x, *window, ceil_mode=up, count_include_pad=False))
        elif op == 'globalAvgPool':
            y = F.adaptive_avg_pool2d(x, 1)
        elif op == 'fc':
            y = F.linear(torch.flatten(x, 1), p[name + '.weight'], p[name + '.bias'])
        else:
            raise ValueError('no PyTorch for ' + op)
        values[name] = y
    return values[request['output']]


class Infer:
    def __init__(self, request, layout='channels_last'):
        p = {q['name']: tensor(q, layout) for q in request['parameters']}
        self.image = tensor(request['image'], layout).cpu().numpy()

        def forward(x):
            y = evaluate(request, p, x, False)
            return F.softmax(y, 1) if request['softmax'] else y

        with torch.no_grad():
            # Traced, so that no Python runs between the layers: on a graphics card that is what torch.compile is there for.
            self.forward = compiled(forward) if DEVICE != 'cpu' else torch.jit.trace(forward, there(self.image), check_trace=False)

    def iterate(self):
        with torch.no_grad():
            return self.forward(there(self.image)).cpu().numpy()

    def check(self):
        return {'output': self.iterate()}


class Train:
    def __init__(self, request, layout='channels_last'):
        self.request = request
        self.p = {q['name']: tensor(q, layout).requires_grad_(q['trainable']) for q in request['parameters']}
        solver = request['solver']
        trainable = [t for t in self.p.values() if t.requires_grad]
        self.optimizer = torch.optim.SGD(trainable, lr=solver['rate'], momentum=solver['momentum'],
                                         weight_decay=solver.get('weightDecay', 0), nesterov=solver.get('nesterov', False))
        self.image = tensor(request['image'], layout).cpu().numpy()
        self.label = decode(request['label']).astype(np.int64)
        self.loss_of = compiled(lambda image, label: F.cross_entropy(evaluate(request, self.p, image, True), label))

    def iterate(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(there(self.image), there(self.label))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def check(self):
        found = {'losses': [self.iterate() for _ in range(self.request['steps'])]}
        for name in self.request['checked']:
            if name in self.p:
                found[name] = self.p[name].detach().cpu().numpy()
        # Steps that are timed may be asked to have another rate, 0 above all: the same work, from the same place each time.
        for group in self.optimizer.param_groups:
            group['lr'] = self.request['solver'].get('timedRate', group['lr'])
        return found


class Fastest:
    """The same work in each of several layouts: the first one's results; times of the one that was fastest after two iterations."""

    def __init__(self, kind, request):
        self.sessions = {layout: kind(request, layout) for layout in request['layouts']}

    def check(self):
        found = [session.check() for session in self.sessions.values()]

        def best(session):
            times = []
            for _ in range(3):
                start = time.perf_counter()
                session.iterate()
                times.append(time.perf_counter() - start)
            return min(times)

        self.layout = min(self.sessions, key=lambda layout: best(self.sessions[layout]))
        self.iterate = self.sessions[self.layout].iterate
        return found[0]


class Gradients:
    def __init__(self, request, layout='channels_last'):
        self.p = {q['name']: tensor(q, layout).requires_grad_(q['trainable']) for q in request['parameters']}
        self.image = tensor(request['image'], layout).cpu().numpy()
        self.upstream = tensor(request['upstream'], layout).cpu().numpy()
        self.loss_of = compiled(lambda image, upstream: (evaluate(request, self.p, image, True) * upstream).sum())

    def iterate(self):
        image = there(self.image).requires_grad_()
        wanted = {'image': image, **{name: t for name, t in self.p.items() if t.requires_grad}}
        loss = self.loss_of(image, there(self.upstream))
        gradients = torch.autograd.grad(loss, list(wanted.values()))
        return {'loss': [loss.item()], **{'grad/' + name: g.cpu().numpy() for name, g in zip(wanted, gradients)}}

    def check(self):
        return self.iterate()


def repeat(session, at_least_ms, clock):
    now = time.process_time if clock == 'cpu' else time.perf_counter
    start = now()
    count = 0
    while True:
        session.iterate()
        count += 1
        ms = (now() - start) * 1000
        if ms >= at_least_ms:
            break
    # OpenMP's threads spin for a while after their work: not on the next one's time.
    for _ in range(30):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            break
    return {'ms': ms / count}


def open_device(request):
    """Settles where everything is computed. Returns the answer: what version on what device, or what is missing."""
    global DEVICE, COMPILE
    if request['device'] == 'cuda' and not torch.cuda.is_available():
        return {'missing': 'PyTorch has no CUDA here'}
    if request.get('compile') and not hasattr(torch, 'compile'):
        return {'missing': 'this PyTorch has no torch.compile'}
    DEVICE, COMPILE = request['device'], request.get('compile', False)
    torch.set_num_threads(request['threads'])
    # float32 as everybody else has it.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return {'result': {'version': torch.__version__.split('a0')[0], 'device': DEVICE}}


def main():
    session = None
    for line in sys.stdin:
        request = json.loads(line)
        call = request['call']
        try:
            if torch is None:
                answer = {'missing': 'not installed'}
            elif call == 'open':
                answer = open_device(request)
            elif call == 'prepare':
                kind = {'infer': Infer, 'train': Train, 'gradients': Gradients}[request['mode']]
                session = Fastest(kind, request) if request.get('layouts') else kind(request)
                answer = {'result': {}}
            elif call == 'check':
                found = {name: encode(value) for name, value in session.check().items()}
                answer = {'result': found, 'layout': getattr(session, 'layout', 'channels_last')}
            else:
                answer = {'result': repeat(session, request['atLeastMs'], request.get('clock'))}
        except Exception as error:  # The other side says whose failure it is.
            answer = {'error': type(error).__name__ + ': ' + str(error)}
        print(json.dumps(answer), flush=True)


main()
