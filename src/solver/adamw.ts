/** @file AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019), PyTorch's formulas. */
import { Adam } from './adam.js';

export class AdamW extends Adam {
  override readonly method = 'adamw';
  protected override readonly decoupled = true;
}
