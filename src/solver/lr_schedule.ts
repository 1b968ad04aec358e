/** @file What all learning rate schedules share: the position, PyTorch's state dict, and taking both from a file. */
import { CheckpointError, ConfigError } from '../errors.js';
import { asCount, asDict, asNumber, asNumbers, asString } from '../formats/python/dict.js';
import { type PyDict, PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import { type NamedSettings, type SettingDifference, settingDifferences } from './setting_differences.js';

/** The part of an optimizer that a schedule drives. */
export interface RateHolder {
  readonly paramGroups: readonly { readonly name: string; lr: number; initial_lr?: number }[];
}

export type ScheduleSettings = Record<string, number | string | readonly number[]>;

/** Settings that are floats in Python even where they are whole numbers. */
const FLOAT_SETTINGS = new Set(['gamma', 'warmup_factor']);

/** Entries of a state dict that are read by name or made anew, and so are not carried along. */
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
  /** Rate of each group before the schedule changes it. */
  baseLrs: number[];
  /** Iterations done. The rates belong to the iteration that comes next. */
  lastEpoch: number;
  settings: S;
  #stepCount = 0;
  #lastLr: number[] = [];
  #extra = new Map<string, PyValue>();

  /**
   * Sets the optimizer's rates to the first of the schedule, or with a `lastEpoch` other than −1 to those after that
   * iteration, for which its groups need an `initial_lr`.
   */
  constructor(
    readonly optimizer: RateHolder,
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

  /** Rates of the groups when `iterations` are done; changes nothing. */
  abstract ratesAt(iterations: number): number[];

  /** What is wrong with settings, or null; may not use fields of subclasses. */
  protected abstract problemWith(settings: S): string | null;

  /** Rates of the groups at the present position. */
  getLr(): number[] {
    return this.ratesAt(this.lastEpoch);
  }

  /** The rates that were last given to the optimizer. */
  getLastLr(): readonly number[] {
    return this.#lastLr;
  }

  /** One iteration on; call it after the optimizer's step. */
  step(): void {
    this.#stepCount++;
    this.lastEpoch++;
    this.#setRates();
  }

  #setRates(): void {
    const rates = this.getLr();
    for (const [i, group] of this.optimizer.paramGroups.entries()) group.lr = rates[i];
    this.#lastLr = rates;
  }

  /** PyTorch's state dict, with the entries of the official classes. */
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
   * Continues from a state dict of this class or the official one: its position, and as in PyTorch also its settings.
   * Returns the settings which that changed. The optimizer's rates come with the optimizer's own state.
   * Throws CheckpointError, with nothing changed, where the file does not fit.
   */
  loadStateDict(state: PyValue): SettingDifference[] {
    const dict = asDict(state, 'schedule');
    const settings: ScheduleSettings = { ...this.settings };
    for (const [name, configured] of Object.entries(this.settings)) {
      const value = dict.get(name);
      const what = `schedule, ${name}`;
      // A file of another schedule lacks some settings and PyTorch then goes on with the configured ones.
      if (value === undefined) continue;
      if (typeof configured === 'number') settings[name] = asNumber(value, what);
      else settings[name] = typeof configured === 'string' ? asString(value, what) : asNumbers(value, what);
    }
    const problem = this.problemWith(settings as S);
    if (problem) throw new CheckpointError(`the checkpoint's schedule: ${problem}`);
    const baseLrs = this.#ratesOfGroups(dict, 'base_lrs');
    const lastLr = dict.has('_last_lr') ? this.#ratesOfGroups(dict, '_last_lr') : null;
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

  /** `--adjust-lr`: takes a state dict's position and keeps the configured settings and base rates. */
  adoptPosition(state: PyValue): void {
    const { lastEpoch, stepCount } = readPosition(asDict(state, 'schedule'));
    this.lastEpoch = lastEpoch;
    this.#stepCount = stepCount;
    this.#setRates();
  }

  #ratesOfGroups(dict: ReadonlyMap<PyValue, PyValue>, name: string): number[] {
    const rates = asNumbers(dict.get(name), `schedule, ${name}`);
    const { length } = this.optimizer.paramGroups;
    if (rates.length !== length) {
      throw new CheckpointError(
        `the checkpoint's schedule has ${rates.length} ${name}, this run has ${length} parameter groups; ` +
          'use the settings that it was saved with, or --adjust-lr to take its position only',
      );
    }
    return rates;
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
