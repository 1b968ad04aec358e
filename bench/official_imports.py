"""Stand-ins for the packages that the official STMixer code imports and that are not installed.

They hold what a training step of the model calls. A package that is installed is used instead. PyTorch is imported where
it is used, so that the rest can be tested without it.
"""
import copy
import importlib
import sys
import types


def provide_missing_packages():
    """Puts a stand-in into sys.modules for every package that cannot be imported."""
    for package, modules in STAND_INS.items():
        try:
            for name in modules:
                importlib.import_module(name)
        except ImportError:
            for name in [name for name in sys.modules if name.split(".")[0] == package]:
                del sys.modules[name]
            for name, contents in modules.items():
                add_module(name, contents)


def add_module(name, contents):
    """Registers a module of this dotted name, and makes it an attribute of its parent."""
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(contents)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        if parent not in sys.modules:
            add_module(parent, {})
        setattr(sys.modules[parent], last, module)


class CfgNode(dict):
    """A dictionary whose entries are attributes, as in yacs."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__

    def clone(self):
        return copy.deepcopy(self)


def drop_path(x, drop_prob=0.0, training=False):
    """Zeroes whole samples with the given probability, and scales the others up."""
    if not drop_prob or not training:
        return x
    keep = 1 - drop_prob
    mask = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(keep)
    return x * (mask / keep)


def to_2tuple(x):
    return tuple(x) if isinstance(x, (list, tuple)) else (x, x)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0):
    from torch import nn

    return nn.init.trunc_normal_(tensor, mean, std, a, b)


def c2_xavier_fill(module):
    from torch import nn

    nn.init.kaiming_uniform_(module.weight, a=1)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def sigmoid_focal_loss(inputs, targets, alpha=-1, gamma=2, reduction="none"):
    import torch

    p = inputs.sigmoid()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * (targets * (1 - p) + (1 - targets) * p) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return {"none": lambda x: x, "mean": torch.mean, "sum": torch.sum}[reduction](loss)


def box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def linear_sum_assignment(cost):
    """The cheapest pairs of rows and columns of a matrix: row indices in ascending order, and their columns."""
    matrix = cost.tolist()
    if matrix and len(matrix) > len(matrix[0]):
        columns = assign_rows([list(column) for column in zip(*matrix)])
        pairs = sorted((row, column) for column, row in enumerate(columns))
        return [row for row, _ in pairs], [column for _, column in pairs]
    columns = assign_rows(matrix)
    return list(range(len(columns))), columns


def assign_rows(cost):
    """Returns the column of each row, by shortest augmenting paths. There are at most as many rows as columns."""
    width = len(cost[0]) if cost else 0
    row_price, column_price = [0.0] * len(cost), [0.0] * width
    row_of = [-1] * width
    for start in range(len(cost)):
        distance, came_from, done = [float("inf")] * width, [-1] * width, [False] * width
        row, column, walked = start, -1, 0.0
        while row >= 0:
            for j in range(width):
                reach = walked + cost[row][j] - row_price[row] - column_price[j]
                if not done[j] and reach < distance[j]:
                    distance[j], came_from[j] = reach, column
            column = min((j for j in range(width) if not done[j]), key=distance.__getitem__)
            done[column], walked, row = True, distance[column], row_of[column]
        row_price[start] += walked
        for j in range(width):
            if done[j] and j != column:
                row_price[row_of[j]] += walked - distance[j]
                column_price[j] -= walked - distance[j]
        while column >= 0:
            previous = came_from[column]
            row_of[column] = row_of[previous] if previous >= 0 else start
            column = previous
    columns = [0] * len(cost)
    for column, row in enumerate(row_of):
        if row >= 0:
            columns[row] = column
    return columns


STAND_INS = {
    "fvcore": {
        "fvcore.nn": {"sigmoid_focal_loss_jit": sigmoid_focal_loss},
        "fvcore.nn.weight_init": {"c2_xavier_fill": c2_xavier_fill},
    },
    "packaging": {"packaging.version": {"parse": lambda text: tuple(map(int, text.split(".")[:2]))}},
    "scipy": {"scipy.optimize": {"linear_sum_assignment": linear_sum_assignment}},
    "timm": {
        "timm.models.layers": {
            "drop_path": drop_path,
            "to_2tuple": to_2tuple,
            "trunc_normal_": trunc_normal_,
        },
        "timm.models.registry": {"register_model": lambda function: function},
    },
    "torchvision": {
        # The version from which the official code needs no workaround.
        "torchvision": {"__version__": "0.7.0"},
        "torchvision.ops.boxes": {"box_area": box_area},
    },
    "yacs": {"yacs.config": {"CfgNode": CfgNode}},
}
