/** @file The order of a program's items while groups move to earlier ones, with which they share a launch. */
import type { Tensor } from '../ir/tensor.js';
import type { Group } from './groups.js';
import { type Item, madeBy, readBy } from './items.js';

export class Plan {
  readonly #items: Item[] = [];
  /** Where each tensor is computed. */
  readonly #positions = new Map<Tensor, number>();

  /** The position of the next item. */
  get end(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    this.move(item, this.end);
    this.#items.push(item);
  }

  /** Notes that the results of an item are computed at a position. */
  move(item: Item, position: number): void {
    for (const tensor of madeBy(item)) this.#positions.set(tensor, position);
  }

  /** The position after which a group may run; -1 if it reads nothing that the program computes. */
  ready(group: Group): number {
    return Math.max(-1, ...readBy(group).map((tensor) => this.#positions.get(tensor) ?? -1));
  }

  /** All items; a group that shares its launch with none is by itself. */
  items(): Item[] {
    return this.#items.map((item) =>
      (item.kind === 'batch' || item.kind === 'joint') && item.groups.length === 1 ? item.groups[0] : item,
    );
  }
}
