#!/usr/bin/env python3
"""
Makes the models beside it: small nets of the kinds that torchvision has, as PyTorch exports them, and what they compute.

    python3 make.py            with torch 1.13 (Debian 12's python3-torch); not part of any build

For each net NAME.onnx and NAME.safetensors: `image`, `logits` (PyTorch in eval mode; it and onnxruntime agree to float32) and, where it is
trained, `target`, `loss` and `gradient.PARAMETER` of one step in train mode, computed in float64: loss = half the squared distance to `target`,
a sample; `weight.PARAMETER` tells which parameter of the import is meant.
"""
import json, os, warnings
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings('ignore')
HERE = os.path.dirname(os.path.abspath(__file__))


def conv_bn(i, o, k=3, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act] if act else []))


class Residual(nn.Module):
    """resnet: two basic blocks, one with a projection."""
    def __init__(s):
        super().__init__()
        s.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        s.a1, s.a2 = conv_bn(4, 4, act=nn.ReLU()), conv_bn(4, 4)
        s.b1, s.b2, s.down = conv_bn(4, 6, stride=2, act=nn.ReLU()), conv_bn(6, 6), conv_bn(4, 6, 1, 2)
        s.pool, s.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)
    def forward(s, x):
        x = s.stem(x)
        x = F.relu(s.a2(s.a1(x)) + x)
        x = F.relu(s.b2(s.b1(x)) + s.down(x))
        return s.fc(torch.flatten(s.pool(x), 1))


class Mobile(nn.Module):
    """mobilenet_v3: an inverted bottleneck with squeeze and excitation, hard_swish and hard_sigmoid; relu6 of mobilenet_v2."""
    def __init__(s):
        super().__init__()
        s.stem = conv_bn(3, 4, stride=2, act=nn.Hardswish())
        s.expand, s.depth, s.project = conv_bn(4, 8, 1, act=nn.Hardswish()), conv_bn(8, 8, 5, groups=8, act=nn.ReLU6()), conv_bn(8, 4, 1)
        s.fc1, s.fc2 = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        s.head = nn.Sequential(nn.Linear(4, 6), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(6, 3))
    def forward(s, x):
        x = s.stem(x)
        y = s.depth(s.expand(x))
        y = F.hardsigmoid(s.fc2(F.relu(s.fc1(F.adaptive_avg_pool2d(y, 1))))) * y
        return s.head((x + s.project(y)).mean([2, 3]))


class Shuffle(nn.Module):
    """shufflenet: halves, channels that change places, shapes that are computed from the input's."""
    def __init__(s):
        super().__init__()
        s.stem = conv_bn(3, 8, stride=2, act=nn.SiLU())
        s.branch = nn.Sequential(conv_bn(4, 4, 1, act=nn.ReLU()), conv_bn(4, 4, groups=4), conv_bn(4, 4, 1, act=nn.ReLU()))
        s.fc = nn.Linear(8, 3)
    def forward(s, x):
        x = s.stem(x)
        a, b = x.chunk(2, dim=1)
        x = torch.cat((a, s.branch(b)), 1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        return s.fc(x.mean([2, 3]))


class ConvNext(nn.Module):
    """convnext: layer_norm and linear layers on the last axis, gelu, a scale a channel."""
    def __init__(s):
        super().__init__()
        s.stem, s.norm = nn.Conv2d(3, 4, 2, 2), nn.LayerNorm(4, eps=1e-6)
        s.depth, s.block = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Sequential(nn.LayerNorm(4, eps=1e-6), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        s.layer_scale = nn.Parameter(torch.ones(4, 1, 1))
        s.head = nn.Linear(4, 3)
    def forward(s, x):
        x = s.norm(s.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = x + s.layer_scale * s.block(s.depth(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return s.head(x.mean([-2, -1]))


class UNet(nn.Module):
    """A U-Net: up by a transposed convolution and by bilinear interpolation."""
    def __init__(s):
        super().__init__()
        s.d1, s.d2, s.d3 = conv_bn(3, 4, act=nn.ReLU()), conv_bn(4, 6, act=nn.ReLU()), conv_bn(6, 8, act=nn.ReLU())
        s.up2, s.u2 = nn.ConvTranspose2d(8, 6, 2, 2), conv_bn(12, 6, act=nn.ReLU())
        s.up1, s.u1 = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True), conv_bn(10, 4, act=nn.ReLU())
        s.head = nn.Conv2d(4, 2, 1)
    def forward(s, x):
        a = s.d1(x)
        b = s.d2(F.max_pool2d(a, 2))
        c = s.d3(F.max_pool2d(b, 2))
        y = s.u2(torch.cat([b, s.up2(c)], 1))
        return s.head(s.u1(torch.cat([a, s.up1(y)], 1)))


class Norms(nn.Module):
    """Norms that older opsets have no operator for, and activations that none has."""
    def __init__(s):
        super().__init__()
        s.a, s.group, s.instance = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True)
        s.slope = nn.PReLU(8)
        s.tokens, s.norm = nn.Linear(8, 6), nn.LayerNorm(6)
        s.head = nn.Linear(6 * 36, 3)
    def forward(s, x):
        x = F.mish(s.group(s.a(x)))
        x = s.slope(s.instance(F.pad(x, (1, 1, 1, 1), mode='reflect')))
        x = F.gelu(s.norm(s.tokens(F.max_pool2d(x, 3, 2, ceil_mode=True).flatten(2).transpose(1, 2))), approximate='tanh')
        return s.head(torch.flatten(F.pad(x, (0, 0, 0, 11)), 1))


class Inception(nn.Module):
    """inception: an input whose channels are normalized one by one, padding apart from pooling, branches of unequal kernels."""
    def __init__(s):
        super().__init__()
        s.a, s.b1, s.b2, s.c = conv_bn(3, 4, act=nn.ReLU()), conv_bn(3, 3, 1, act=nn.ReLU()), nn.Conv2d(3, 4, (1, 5), padding=(0, 2)), nn.Conv2d(3, 2, 1)
        s.fc = nn.Linear(10, 3)
    def forward(s, x):
        x = torch.cat([x[:, i].unsqueeze(1) * a + b for i, (a, b) in enumerate([(0.458, -0.03), (0.448, -0.088), (0.45, -0.188)])], 1)
        x = torch.cat([s.a(x), s.b2(s.b1(x)), s.c(F.avg_pool2d(x, 3, 1, 1))], 1)
        return s.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Alex(nn.Module):
    """alexnet: local response normalization, which PyTorch writes out; a window of an even number has no middle, and stays arithmetic."""
    def __init__(s):
        super().__init__()
        s.a, s.b, s.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3, groups=2), nn.Linear(24, 3)
        s.odd, s.even = nn.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0), nn.LocalResponseNorm(4, alpha=0.3, beta=0.5)
    def forward(s, x):
        x = F.max_pool2d(s.odd(F.relu(s.a(x))), 2, 2, ceil_mode=True)
        return s.fc(torch.flatten(s.even(F.relu(s.b(x))), 1))


# name: net, input size, opset, folded, gradients
NETS = {
    'residual': (Residual, 16, 13, False, True),
    'residual-folded': (Residual, 16, 11, True, False),
    'mobile': (Mobile, 8, 11, False, True),
    'mobile-14': (Mobile, 8, 14, True, False),
    'shuffle': (Shuffle, 8, 16, False, False),
    'shuffle-folded': (Shuffle, 8, 11, True, False),
    'convnext': (ConvNext, 8, 13, False, True),
    'convnext-17': (ConvNext, 8, 17, True, False),
    'unet': (UNet, 8, 11, False, True),
    'norms': (Norms, 8, 16, False, False),
    'inception': (Inception, 6, 13, True, False),
    'alex': (Alex, 9, 13, False, True),
}


def write_safetensors(path, tensors):
    head, at = {}, 0
    for name, t in tensors.items():
        head[name] = {'dtype': 'F32', 'shape': list(t.shape), 'data_offsets': [at, at + 4 * t.size]}
        at += 4 * t.size
    text = json.dumps(head).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t, dtype='<f4').tobytes())


for name, (make, size, opset, folded, trained) in NETS.items():
    torch.manual_seed(7)
    net = make()
    for p in net.parameters():  # nothing is 0 or 1, so that what is mixed up is seen
        if p.dim() < 2 or p.shape[1:].numel() == 1:
            p.data += 0.3 * torch.randn(p.shape)
    net.train()
    with torch.no_grad():
        for _ in range(5):
            net(torch.rand(4, 3, size, size))
    net.eval()
    image = torch.rand(2, 3, size, size)
    fold = dict(training=torch.onnx.TrainingMode.EVAL, do_constant_folding=True)
    apart = dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, keep_initializers_as_inputs=True)
    torch.onnx.export(net, image[:1], os.path.join(HERE, name + '.onnx'), opset_version=opset, input_names=['image'], output_names=['logits'],
                      dynamic_axes={'image': {0: 'batch'}, 'logits': {0: 'batch'}}, **(fold if folded else apart))
    with torch.no_grad():
        logits = net(image)
    tensors = {'image': image.numpy(), 'logits': logits.numpy()}
    if trained:
        weights = {k: p.detach().numpy().copy() for k, p in net.named_parameters()}
        net = net.double().train()
        for m in net.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.0
        y = net(image.double())
        target = torch.rand(y.shape)
        loss = ((y - target.double()) ** 2).sum() / 2 / len(image)
        loss.backward()
        tensors.update(target=target.numpy(), loss=np.array([loss.item()]))
        for k, p in net.named_parameters():
            tensors['weight.' + k], tensors['gradient.' + k] = weights[k], p.grad.numpy()
    write_safetensors(os.path.join(HERE, name + '.safetensors'), tensors)
    print(name, tuple(logits.shape), float(logits.abs().max()))
