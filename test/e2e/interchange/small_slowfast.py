"""
The PyTorch side of torch_resnet.test.ts: a small SlowFast backbone with a neck, whose parameters have STMixer's names.

    python small_slowfast.py FOLDER

Loads `ours.pth` strictly, computes the features of `video.pth`, trains one step and saves `theirs.pth`: the new weights, the
features before and after, and the numbers of batches that the norms have seen.
"""
import os
import sys

import torch
from torch import nn

WIDTH, BETA, RATIO, ALPHA, FUSION, HIDDEN = 4, 2, 2, 2, 5, 8
BLOCKS = 2
NONLOCAL = (3, 1)  # stage, block


def conv(inputs, outputs, kernel, stride=(1, 1, 1), bias=False):
    padding = [extent // 2 for extent in kernel]
    return nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=bias)


class Stem(nn.Module):
    def __init__(self, outputs, frames):
        super().__init__()
        self.conv = conv(3, outputs, (frames, 7, 7), (1, 2, 2))
        self.bn = nn.BatchNorm3d(outputs)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        return nn.functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))


class Branch(nn.Module):
    def __init__(self, inputs, inner, outputs, frames, stride):
        super().__init__()
        self.a, self.a_bn = conv(inputs, inner, (frames, 1, 1)), nn.BatchNorm3d(inner)
        self.b, self.b_bn = conv(inner, inner, (1, 3, 3), (1, stride, stride)), nn.BatchNorm3d(inner)
        self.c, self.c_bn = conv(inner, outputs, (1, 1, 1)), nn.BatchNorm3d(outputs)

    def forward(self, x):
        x = torch.relu(self.a_bn(self.a(x)))
        x = torch.relu(self.b_bn(self.b(x)))
        return self.c_bn(self.c(x))


class Block(nn.Module):
    def __init__(self, inputs, inner, outputs, frames, stride):
        super().__init__()
        if inputs != outputs or stride != 1:
            self.branch1 = conv(inputs, outputs, (1, 1, 1), (1, stride, stride))
            self.branch1_bn = nn.BatchNorm3d(outputs)
        self.branch2 = Branch(inputs, inner, outputs, frames, stride)

    def forward(self, x):
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, 'branch1') else x
        return torch.relu(shortcut + self.branch2(x))


class Nonlocal(nn.Module):
    def __init__(self, channels):
        super().__init__()
        inner = channels // 2
        for name in ('theta', 'phi', 'g'):
            setattr(self, f'conv_{name}', conv(channels, inner, (1, 1, 1), bias=True))
        self.conv_out = conv(inner, channels, (1, 1, 1), bias=True)
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x):
        pooled = nn.functional.max_pool3d(x, (1, 2, 2))
        theta = self.conv_theta(x).flatten(2)
        phi, g = self.conv_phi(pooled).flatten(2), self.conv_g(pooled).flatten(2)
        weights = theta.transpose(1, 2) @ phi / phi.shape[2]
        y = (weights @ g.transpose(1, 2)).transpose(1, 2)
        return x + self.bn(self.conv_out(y.reshape(len(x), -1, *x.shape[2:])))


class Fuse(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_f2s = conv(channels, RATIO * channels, (FUSION, 1, 1), (ALPHA, 1, 1))
        self.bn = nn.BatchNorm3d(RATIO * channels)

    def forward(self, slow, fast):
        return torch.cat([slow, torch.relu(self.bn(self.conv_f2s(fast)))], 1)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.s1 = nn.Module()
        self.s1.pathway0_stem = Stem(WIDTH, 1)
        self.s1.pathway1_stem = Stem(WIDTH // BETA, 5)
        self.s1_fuse = Fuse(WIDTH // BETA)
        before = [WIDTH, WIDTH // BETA]
        for k in range(2, 6):
            stage = nn.Module()
            after = [WIDTH * 2**k, WIDTH * 2**k // BETA]
            for p in range(2):
                added = RATIO * before[1] if p == 0 else 0
                inner = WIDTH * 2 ** (k - 2) // (BETA if p else 1)
                for i in range(BLOCKS):
                    frames = 3 if p or (k > 3 and (k, i) != (4, 1)) else 1
                    inputs, stride = (before[p] + added, 1 if k == 2 else 2) if i == 0 else (after[p], 1)
                    setattr(stage, f'pathway{p}_res{i}', Block(inputs, inner, after[p], frames, stride))
                    if p == 0 and (k, i) == NONLOCAL:
                        setattr(stage, f'pathway0_nonlocal{i}', Nonlocal(after[0]))
            setattr(self, f's{k}', stage)
            if k < 5:
                setattr(self, f's{k}_fuse', Fuse(after[1]))
            before = after

    def forward(self, video):
        frames = torch.linspace(0, video.shape[2] - 1, video.shape[2] // ALPHA).long()
        slow, fast = self.s1.pathway0_stem(video[:, :, frames]), self.s1.pathway1_stem(video)
        slow = self.s1_fuse(slow, fast)
        features = []
        for k in range(2, 6):
            stage = getattr(self, f's{k}')
            for i in range(BLOCKS):
                slow = getattr(stage, f'pathway0_res{i}')(slow)
                if (k, i) == NONLOCAL:
                    slow = getattr(stage, f'pathway0_nonlocal{i}')(slow)
                fast = getattr(stage, f'pathway1_res{i}')(fast)
            features.append(torch.cat([slow, nn.functional.max_pool3d(fast, (ALPHA, 1, 1))], 1))
            if k < 5:
                slow = getattr(self, f's{k}_fuse')(slow, fast)
        return features


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        widths = [WIDTH * 2**k + WIDTH * 2**k // BETA for k in range(2, 6)]
        self.lateral_convs = nn.ModuleList(conv(width, HIDDEN, (1, 1, 1), bias=True) for width in widths)

    def forward(self, video):
        return [level(x) for level, x in zip(self.lateral_convs, self.backbone(video))]


def main(folder):
    def at(name):
        return os.path.join(folder, name)

    video = torch.load(at('video.pth'))['video']
    state = torch.load(at('ours.pth'))['model']
    model = Features()
    model.load_state_dict({name: x for name, x in state.items() if not name.startswith('stm_head.')})
    model.eval()
    with torch.no_grad():
        before = model(video)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    sum(x.square().mean() for x in model(video)).backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        after = model(video)
    state.update(model.state_dict())
    features = {f'{when}{k}': x.contiguous() for when, maps in (('before', before), ('after', after)) for k, x in enumerate(maps)}
    torch.save({'model': state, 'features': features}, at('theirs.pth'))


main(sys.argv[1])
