/** @file A table of names: how another code base names the tensors of a video transformer. */
import type { HostTensor } from '../../formats/host_tensor.js';
import { kindOf } from '../model_parts.js';

/** The names of one code base. */
export interface Origin {
  /** The code base, for messages. */
  readonly title: string;
  /**
   * Names of modules (with `.weight` and `.bias`) or of tensors: theirs, and ours without `backbone.`. N stands for the
   * number of a block. `attn.qkv.bias` and `attn.q`, `attn.k`, `attn.v` are names for what has to be split and joined.
   */
  readonly names: readonly (readonly [theirs: string, ours: string])[];
}

/** A table that is ready for use. */
export interface OriginNames {
  readonly title: string;
  /** Our name of a tensor, which may begin with `backbone.`; null if the table does not have it. */
  rename(name: string): string | null;
  /** Whether an entry of a file is no weight of the network. */
  isLeftOut?(name: string): boolean;
  /** A sentence on why these entries, of which those that are no tensors are null, cannot be loaded; null if they can. */
  problemOf?(state: ReadonlyMap<string, HostTensor | null>): string | null;
}

/** Prepares a table, so that a name is found without a search. */
export function prepare({ title, names }: Origin): OriginNames {
  const ours = new Map<string, string>();
  for (const [theirs, our] of names)
    for (const end of ['', '.weight', '.bias']) ours.set(theirs + end, our + end);
  return {
    title,
    rename(name) {
      const start = name.startsWith('backbone.') ? 'backbone.' : '';
      const { kind, index } = kindOf(name.slice(start.length));
      const our = ours.get(kind)?.replace(/\bN\b/, String(index));
      return our === undefined ? null : start + our;
    },
  };
}
