/** @file Takes the tensors out of a whole network that was saved with `torch.save(model, …)`. */
import { isHostTensor } from '../formats/host_tensor.js';
import { type PyDict, PyOpaque, type PyValue } from '../formats/python/values.js';

/** Modules inside one another. */
const MAX_DEPTH = 50;

/** Modules of a network. A file may refer to one module endlessly often. */
const MAX_MODULES = 10_000;

/** The state dict of a saved `torch.nn.Module`: names and order as `state_dict()` has them; null for anything else. */
export function stateOfModule(value: PyValue): PyDict | null {
  if (!isModule(value)) return null;
  const tensors: PyDict = new Map();
  let modules = 0;
  const add = (module: Module, start: string, depth: number) => {
    if (depth > MAX_DEPTH || ++modules > MAX_MODULES) return;
    for (const kind of ['_parameters', '_buffers'])
      for (const [name, tensor] of entriesOf(module, kind))
        if (isHostTensor(tensor)) tensors.set(`${start}${String(name)}`, tensor);
    for (const [name, child] of entriesOf(module, '_modules'))
      if (isModule(child)) add(child, `${start}${String(name)}.`, depth + 1);
  };
  add(value, '', 0);
  return tensors;
}

interface Module extends PyOpaque {
  state: PyDict;
}

function isModule(value: PyValue): value is Module {
  return (
    value instanceof PyOpaque && value.state instanceof Map && value.state.get('_modules') instanceof Map
  );
}

function entriesOf({ state }: Module, kind: string): PyDict {
  const entries = state.get(kind);
  return entries instanceof Map ? entries : new Map();
}
