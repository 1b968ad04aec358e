"""
The PyTorch side of torch_training.test.ts: a small model with names as STMixer has them, trained as the official trainer does.

    python small_model.py train FOLDER       six steps of each case: <case>_start.pth, <case>_three.pth, <case>_six.pth
    python small_model.py continue FOLDER    three steps from <case>_ours.pth: <case>_continued.pth, and from
                                             detector.pth, with gradients that are made up: detector.json
"""
import json
import math
import os
import sys
from bisect import bisect_right

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

FEATURES, HEADS, DEPTH, RATIO, TOKENS, INPUTS, OUTPUTS, CLIPS = 8, 2, 2, 2, 5, 6, 3, 2
STEPS = 6
SOLVER = dict(lr=1e-2, betas=(0.9, 0.999), weight_decay=1e-3)
BACKBONE_DECAY, LAYER_DECAY = 0.05, 0.75
WARMUP = dict(warmup_factor=0.1, warmup_method='linear')


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_bias = nn.Parameter(0.1 * torch.randn(FEATURES))
        self.v_bias = nn.Parameter(0.1 * torch.randn(FEATURES))
        self.qkv = nn.Linear(FEATURES, 3 * FEATURES, bias=False)
        self.proj = nn.Linear(FEATURES, FEATURES)

    def forward(self, x):
        clips, tokens, _ = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        joint = nn.functional.linear(x, self.qkv.weight, bias).reshape(clips, tokens, 3, HEADS, -1)
        q, k, v = joint.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / math.sqrt(FEATURES / HEADS)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(x.shape))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, RATIO * FEATURES)
        self.fc2 = nn.Linear(RATIO * FEATURES, FEATURES)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(FEATURES, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(FEATURES, eps=1e-6)
        self.mlp = Mlp()

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(0.1 * torch.randn(1, TOKENS, FEATURES))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Linear(INPUTS, FEATURES)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(FEATURES, eps=1e-6)

    def forward(self, x):
        x = self.patch_embed.proj(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(FEATURES, OUTPUTS)

    def forward(self, x):
        return self.head(self.backbone(x))


def layer_of(name):
    if name == 'pos_embed' or name.startswith('patch_embed'):
        return 0
    return int(name.split('.')[1]) + 1 if name.startswith('blocks') else DEPTH + 1


def make_optimizer(model):
    groups = {}
    for name, parameter in model.backbone.named_parameters():
        decays = parameter.ndim > 1 and not name.endswith('.bias') and name != 'pos_embed'
        layer = layer_of(name)
        group = groups.setdefault((layer, decays), {
            'params': [],
            'weight_decay': BACKBONE_DECAY if decays else 0.0,
            'lr_scale': LAYER_DECAY ** (DEPTH + 1 - layer),
        })
        group['params'].append(parameter)
    rest = [parameter for name, parameter in model.named_parameters() if 'backbone' not in name]
    return torch.optim.AdamW([*groups.values(), {'params': rest}], **SOLVER)


class Warmup(LRScheduler):
    """Settings are attributes, so that the state dict holds them, as the official classes have it."""

    def __init__(self, optimizer, **settings):
        vars(self).update(settings)
        super().__init__(optimizer)

    def get_lr(self):
        factor = 1
        if self.last_epoch < self.warmup_iters:
            alpha = self.last_epoch / self.warmup_iters
            factor = self.warmup_factor * (1 - alpha) + alpha
        return [base * self.factor_after(factor) for base in self.base_lrs]


class WarmupMultiStepLR(Warmup):
    def factor_after(self, warmup):
        return warmup * self.gamma ** bisect_right(self.milestones, self.last_epoch)


class HalfPeriodCosStepLR(Warmup):
    def factor_after(self, warmup):
        if self.last_epoch < self.warmup_iters:
            return warmup
        return 0.5 * (math.cos(math.pi * self.last_epoch / self.max_iters) + 1)


# The official trainer never multiplies rates by lr_scale; the second case does, as this project's own default is.
CASES = {
    'multi_step': (
        lambda o: WarmupMultiStepLR(o, milestones=(4,), gamma=0.1, warmup_iters=2, **WARMUP), False),
    'cosine': (lambda o: HalfPeriodCosStepLR(o, max_iters=8, warmup_iters=4, **WARMUP), True),
}


def train_steps(model, optimizer, scheduler, scaled, inputs, targets, steps):
    """Rates of the groups in each step, before layer decay."""
    rates = []
    for step in steps:
        loss = (model(inputs[step]) - targets[step]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        plain = [group['lr'] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group['lr'] *= group.get('lr_scale', 1) if scaled else 1
        optimizer.step()
        for group, lr in zip(optimizer.param_groups, plain):
            group['lr'] = lr
        rates.append(plain)
        scheduler.step()
    return rates


def save(path, model, optimizer, scheduler, **others):
    state = {'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'scheduler': scheduler.state_dict()}
    torch.save({**state, **others}, path)


def train(folder):
    for case, (make_scheduler, scaled) in CASES.items():
        torch.manual_seed(1)
        model = Model()
        inputs = torch.randn(STEPS, CLIPS, TOKENS, INPUTS)
        targets = torch.randn(STEPS, CLIPS, TOKENS, OUTPUTS)
        torch.save({'model': model.state_dict(), 'inputs': inputs, 'targets': targets}, f'{folder}/{case}_start.pth')
        optimizer = make_optimizer(model)
        scheduler = make_scheduler(optimizer)
        run = (model, optimizer, scheduler, scaled, inputs, targets)
        train_steps(*run, range(3))
        save(f'{folder}/{case}_three.pth', model, optimizer, scheduler, iteration=3)
        rates = train_steps(*run, range(3, 6))
        save(f'{folder}/{case}_six.pth', model, optimizer, scheduler, iteration=6, rates=rates)


def resume(folder):
    for case, (make_scheduler, scaled) in CASES.items():
        start = torch.load(f'{folder}/{case}_start.pth', weights_only=True)
        model = Model()
        optimizer = make_optimizer(model)
        scheduler = make_scheduler(optimizer)
        # What the official checkpointer does not know it hands to the trainer, who saves it again with the next file.
        saved = torch.load(f'{folder}/{case}_ours.pth', weights_only=True)
        model.load_state_dict(saved.pop('model'))
        optimizer.load_state_dict(saved.pop('optimizer'))
        scheduler.load_state_dict(saved.pop('scheduler'))
        arguments = dict(saved)
        first = arguments['iteration']
        rates = train_steps(
            model, optimizer, scheduler, scaled, start['inputs'], start['targets'], range(first, STEPS))
        arguments['iteration'] = STEPS
        save(f'{folder}/{case}_continued.pth', model, optimizer, scheduler, rates=rates, **arguments)
    if os.path.exists(f'{folder}/detector.pth'):
        continue_detector(folder)


def continue_detector(folder):
    saved = torch.load(f'{folder}/detector.pth', weights_only=True)
    parameters = {name: nn.Parameter(value) for name, value in saved['model'].items() if not name.endswith('empty_weight')}
    groups = [{'params': [parameters[name] for name in group['param_names']]} for group in saved['optimizer']['param_groups']]
    optimizer = torch.optim.AdamW(groups, lr=1)
    scheduler = WarmupMultiStepLR(optimizer, milestones=(), gamma=1, warmup_iters=0, **WARMUP)
    optimizer.load_state_dict(saved['optimizer'])
    scheduler.load_state_dict(saved['scheduler'])
    rates = []
    for step in range(saved['iteration'], STEPS):
        for index, parameter in enumerate(parameters.values()):
            parameter.grad = torch.full_like(parameter, 0.01 * (index % 7 - 3) + 0.001 * step)
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    result = {
        'shapes': [[name, list(value.shape)] for name, value in saved['model'].items()],
        'iteration': saved['iteration'],
        'rates': rates,
        'weights': {name: value.flatten().tolist() for name, value in parameters.items()},
    }
    with open(f'{folder}/detector.json', 'w') as file:
        json.dump(result, file)


if __name__ == '__main__':
    command, folder = sys.argv[1:]
    torch.set_num_threads(1)
    {'train': train, 'continue': resume}[command](folder)
