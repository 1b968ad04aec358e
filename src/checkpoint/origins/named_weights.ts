/** @file Gives the tensors of a file this model's names, and splits and joins those that it has in other pieces. */
import { joined, rowsOf } from '../../formats/derived_tensor.js';
import { elementsOf, type HostTensor, sameShape } from '../../formats/host_tensor.js';
import { type OriginNames, stmixer } from './index.js';
import { layoutOf, plainName } from './layout.js';

/** The tensors of a file under this model's names. */
export interface NamedWeights {
  /** Tensors by their names in the file; of split and joined ones by a description. Entries that are no tensors are null. */
  readonly state: ReadonlyMap<string, HostTensor | null>;
  /** This model's name, perhaps without `backbone.`, or else the file's without its prefix → the key in `state`. */
  readonly keyByName: ReadonlyMap<string, string>;
  /** The code base whose names the file has; null if it is unknown. */
  readonly origin: OriginNames | null;
  /** What stood before the names. */
  readonly prefix: string;
  /** Biases of the attention's keys, which this model does not have, by their names in the file. */
  readonly keyBiases: ReadonlyMap<string, HostTensor>;
}

/** Names the tensors of a state dict as this model does. Reads no data. */
export function nameWeights(entries: ReadonlyMap<string, HostTensor | null>): NamedWeights {
  const { origin, prefix } = layoutOf([...entries].flatMap(([key, tensor]) => (tensor ? [key] : [])));
  const state = new Map([...entries].filter(([key]) => !origin?.isLeftOut?.(key)));
  const keyByName = new Map<string, string>();
  const plain = Array.from(state.keys(), (key) => ({ key, name: plainName(key) }));
  for (const { key, name } of plain) if (!name.startsWith(prefix)) keyByName.set(name, key);
  for (const { key, name: whole } of plain) {
    if (!whole.startsWith(prefix)) continue;
    const name = whole.slice(prefix.length);
    const ours = origin && (origin.rename(name) ?? stmixer.rename(name));
    // A plain name comes first, unless only the one with the prefix is a name of the network.
    if (ours !== null || !keyByName.has(name)) keyByName.set(ours ?? name, key);
  }
  const pieces = new Pieces(state, keyByName);
  if (origin !== null) for (const name of [...keyByName.keys()]) pieces.regroup(name);
  return { state: pieces.state, keyByName, origin, prefix, keyBiases: pieces.keyBiases };
}

/** The attention of one block, in names of tensors. */
const ATTENTION = /^((?:.*\.)?blocks\.\d+\.attn\.)(qkv\.bias|q\.weight|[qkv]\.bias)$/;

/** Queries, keys and values: this model has one matrix for all three, and biases for queries and values only. */
class Pieces {
  readonly state: Map<string, HostTensor | null>;
  readonly keyBiases = new Map<string, HostTensor>();

  constructor(
    state: ReadonlyMap<string, HostTensor | null>,
    private readonly keyByName: Map<string, string>,
  ) {
    this.state = new Map(state);
  }

  /** Splits, joins or renames a tensor of an attention. */
  regroup(name: string): void {
    const [, attention, piece] = ATTENTION.exec(name) ?? [];
    const tensor = attention && this.#tensorOf(name);
    if (!tensor) return;
    if (piece === 'qkv.bias') this.#split(name, attention, tensor);
    else if (piece === 'q.weight') this.#join(attention);
    else if (piece === 'k.bias') {
      this.keyBiases.set(this.keyByName.get(name)!, tensor);
      this.#remove(name);
    } else this.#add(`${attention}${piece[0]}_bias`, this.#remove(name), tensor);
  }

  #split(name: string, attention: string, fused: HostTensor): void {
    const [length] = fused.shape;
    if (fused.shape.length !== 1 || length % 3 !== 0) return;
    const key = this.#remove(name);
    const third = (i: number) => rowsOf(fused, (i * length) / 3, ((i + 1) * length) / 3);
    this.#add(`${attention}q_bias`, `${key} (queries)`, third(0));
    this.keyBiases.set(key, third(1));
    this.#add(`${attention}v_bias`, `${key} (values)`, third(2));
  }

  #join(attention: string): void {
    const names = ['q', 'k', 'v'].map((letter) => `${attention}${letter}.weight`);
    const tensors = names.map((name) => this.#tensorOf(name));
    const [first] = tensors;
    const isWhole = (part: HostTensor | null): part is HostTensor =>
      part !== null && first !== null && part.dtype === first.dtype && sameShape(part.shape, first.shape);
    if (!tensors.every(isWhole) || tensors[0].shape.length !== 2) return;
    const keys = names.map((name) => this.#remove(name));
    this.#add(`${attention}qkv.weight`, keys.join(' + '), joined(tensors));
  }

  #tensorOf(name: string): HostTensor | null {
    return this.state.get(this.keyByName.get(name) ?? '') ?? null;
  }

  #remove(name: string): string {
    const key = this.keyByName.get(name)!;
    this.keyByName.delete(name);
    this.state.delete(key);
    return key;
  }

  #add(name: string, key: string, tensor: HostTensor): void {
    this.state.set(key, tensor);
    this.keyByName.set(name, key);
  }
}

/** The code base and the prefix of the names, in words. */
export function describeOrigin({ origin, prefix }: Pick<NamedWeights, 'origin' | 'prefix'>): string {
  const names = origin === null ? 'unknown names' : `names of ${origin.title}`;
  return prefix === '' ? names : `${names}, with the prefix "${prefix}", which is ignored`;
}

/** A warning for biases of keys that are not 0; null if there are none. Reads them. */
export function keyBiasWarning({ keyBiases }: NamedWeights): string | null {
  let largest = 0;
  let place = '';
  for (const [key, tensor] of keyBiases)
    for (const value of elementsOf(tensor)) {
      const size = Math.abs(Number(value));
      if (size <= largest && !Number.isNaN(size)) continue;
      largest = size;
      place = key;
    }
  if (place === '') return null;
  return (
    `this model has no biases for the keys of its attention, so those of the file (up to ${largest.toPrecision(3)}, in ${place}) ` +
    'are left out. That changes no result, because attention weights do not depend on them'
  );
}
