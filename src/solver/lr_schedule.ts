/** @file The base class of all learning rate schedules, with PyTorch's state dict. */
import { CheckpointError, ConfigError } from '../errors.js';
import { asCount, asDict, asNumber, asNumbers, asString } from '../formats/python/dict.js';
import { type PyDict, PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import { type NamedSettings, type SettingDifference, settingDifferences } from './setting_differences.js';

/** The part of an optimizer that a schedule drives. */
export interface LrHolder {
  readonly paramGroups: readonly { readonly name: string; lr: number; initial_lr?: number }[];
}

/** Settings of a schedule under the names of the official state dicts. */
export type ScheduleSettings = Record<string, number | string | readonly number[]>;

/** Settings that Python holds as floats, even if they are whole numbers. */
const FLOAT_SETTINGS = new Set(['gamma', 'warmup_factor']);

/** Entries of a state dict that this class reads or writes itself. All others are saved again unchanged. */
const KNOWN_ENTRIES = new Set([
  'base_lrs',
  'last_epoch',
  'verbose',
  '_step_count',
  '_get_lr_called_within_step',
  '_last_lr',
]);

/** Counterpart of PyTorch's `_LRScheduler`; its "epochs" are iterations here. */
export abstract class LrSchedule<S extends ScheduleSettings = ScheduleSettings> {
  /** Learning rate of each group before the schedule changes it. */
  baseLrs: number[];
  /** Iterations done. The optimizer's learning rates are those of the next iteration. */
  lastEpoch: number;
  settings: S;
  #stepCount = 0;
  #lastLr: number[] = [];
  #extra = new Map<string, PyValue>();

  /**
   * Sets the optimizer's learning rates to the first ones of the schedule. With a `lastEpoch` other than −1 it continues after
   * that iteration, and every group of the optimizer needs an `initial_lr`. Throws ConfigError on invalid settings, and
   * CheckpointError if an `initial_lr` is missing.
   */
  constructor(
    readonly optimizer: LrHolder,
    settings: S,
    lastEpoch = -1,
  ) {
    const problem = this.problemWith(settings);
    if (problem) throw new ConfigError(`learning rate schedule: ${problem}`);
    this.settings = settings;
    this.baseLrs = optimizer.paramGroups.map((group) => {
      if (lastEpoch === -1) group.initial_lr ??= group.lr;
      else if (group.initial_lr === undefined) {
        throw new CheckpointError(
          `parameter group "${group.name}" has no initial_lr, so its schedule cannot continue at ${lastEpoch}`,
        );
      }
      return group.initial_lr;
    });
    this.lastEpoch = lastEpoch;
    this.step();
  }

  /** Returns the learning rates of the groups after `iterations` iterations, and changes nothing. */
  abstract lrAt(iterations: number): number[];

  /** Returns the problem with settings, or null. Runs before the fields of subclasses exist. */
  protected abstract problemWith(settings: S): string | null;

  /** Returns the learning rates of the groups at the current position. */
  getLr(): number[] {
    return this.lrAt(this.lastEpoch);
  }

  /** Returns the learning rates that the schedule last set. */
  getLastLr(): readonly number[] {
    return this.#lastLr;
  }

  /** Advances by one iteration. Call it after the optimizer's step. */
  step(): void {
    this.#stepCount++;
    this.lastEpoch++;
    this.#setLrs();
  }

  #setLrs(): void {
    const lrs = this.getLr();
    for (const [i, group] of this.optimizer.paramGroups.entries()) group.lr = lrs[i];
    this.#lastLr = lrs;
  }

  /** Returns PyTorch's state dict, with the entries of the official classes. */
  stateDict(): PyDict {
    const entries = new Map<PyValue, PyValue>();
    for (const [name, value] of Object.entries(this.settings)) {
      if (typeof value === 'number') entries.set(name, FLOAT_SETTINGS.has(name) ? new PyFloat(value) : value);
      else entries.set(name, typeof value === 'string' ? value : new PyTuple(value));
    }
    entries.set('base_lrs', this.baseLrs.map(pyFloat));
    entries.set('last_epoch', this.lastEpoch);
    entries.set('verbose', false);
    entries.set('_step_count', this.#stepCount);
    entries.set('_get_lr_called_within_step', false);
    entries.set('_last_lr', this.#lastLr.map(pyFloat));
    for (const [name, value] of this.#extra) entries.set(name, value);
    return entries;
  }

  /**
   * Continues from a state dict of this class or the official one: takes over its position and, as PyTorch does, its
   * settings. Returns the settings that changed. The learning rates themselves come with the optimizer's state. Throws
   * CheckpointError and changes nothing if the file does not fit.
   */
  loadStateDict(state: PyValue): SettingDifference[] {
    const dict = asDict(state, 'schedule');
    const settings: ScheduleSettings = { ...this.settings };
    for (const [name, configured] of Object.entries(this.settings)) {
      const value = dict.get(name);
      const what = `schedule, ${name}`;
      // A file of another schedule lacks some settings. As in PyTorch, the configured ones stay.
      if (value === undefined) continue;
      if (typeof configured === 'number') settings[name] = asNumber(value, what);
      else settings[name] = typeof configured === 'string' ? asString(value, what) : asNumbers(value, what);
    }
    const problem = this.problemWith(settings as S);
    if (problem) throw new CheckpointError(`the checkpoint's schedule: ${problem}`);
    const baseLrs = this.#lrsOfGroups(dict, 'base_lrs');
    const lastLr = dict.has('_last_lr') ? this.#lrsOfGroups(dict, '_last_lr') : null;
    const position = readPosition(dict);
    const before = this.#namedSettings();

    this.settings = settings as S;
    this.baseLrs = baseLrs;
    this.lastEpoch = position.lastEpoch;
    this.#stepCount = position.stepCount;
    this.#lastLr = lastLr ?? this.getLr();
    this.#extra.clear();
    for (const [key, value] of dict) {
      const name = asString(key, 'key of the schedule');
      if (!(name in settings) && !KNOWN_ENTRIES.has(name)) this.#extra.set(name, value);
    }
    return settingDifferences([before], [this.#namedSettings()]);
  }

  /** Takes over only the position of a state dict, for --adjust-lr: settings and base learning rates stay as configured. */
  adoptPosition(state: PyValue): void {
    const { lastEpoch, stepCount } = readPosition(asDict(state, 'schedule'));
    this.lastEpoch = lastEpoch;
    this.#stepCount = stepCount;
    this.#setLrs();
  }

  #lrsOfGroups(dict: ReadonlyMap<PyValue, PyValue>, name: string): number[] {
    const lrs = asNumbers(dict.get(name), `schedule, ${name}`);
    const { length } = this.optimizer.paramGroups;
    if (lrs.length !== length) {
      throw new CheckpointError(
        `the checkpoint's schedule has ${lrs.length} ${name}, this run has ${length} parameter groups; ` +
          'use the settings that it was saved with, or --adjust-lr to take its position only',
      );
    }
    return lrs;
  }

  #namedSettings(): NamedSettings {
    return { name: 'schedule', settings: { ...this.settings, base_lrs: this.baseLrs } };
  }
}

function pyFloat(value: number): PyFloat {
  return new PyFloat(value);
}

function readPosition(dict: ReadonlyMap<PyValue, PyValue>): { lastEpoch: number; stepCount: number } {
  const lastEpoch = asCount(dict.get('last_epoch'), 'schedule, last_epoch');
  const steps = dict.get('_step_count');
  return {
    lastEpoch,
    stepCount: steps === undefined ? lastEpoch + 1 : asCount(steps, 'schedule, _step_count'),
  };
}
