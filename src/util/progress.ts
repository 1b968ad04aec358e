/** @file How far a long command is: a bar below the lines on a terminal, now and then a line elsewhere. */
import { MultiBar, type Options, Presets, type SingleBar } from 'cli-progress';
import { duration } from './text.js';

const LINE_EVERY_MS = 30_000;

/** What all bars of the program have in common. */
export const BAR_OPTIONS: Options = {
  // A process that is killed could not show it again.
  hideCursor: false,
  clearOnComplete: true,
  // Else the lines above are cut at the terminal's width too.
  linewrap: true,
  gracefulExit: false,
  barsize: 24,
};

export class Progress {
  readonly #bars: MultiBar | null;
  readonly #bar: SingleBar | null;
  readonly #begin = performance.now();
  #lastLine = performance.now();

  /** Counts up to `total` of `unit`, e.g. frames; null where nobody knows how many there are. */
  constructor(
    private readonly total: number | null,
    private readonly unit: string,
    private readonly stream: NodeJS.WriteStream = process.stdout,
  ) {
    this.#bars = stream.isTTY
      ? new MultiBar({ ...BAR_OPTIONS, stream, format: this.#format() }, Presets.shades_classic)
      : null;
    this.#bar = this.#bars?.create(total ?? 0, 0, this.#fields(0)) ?? null;
  }

  /** Tells how much is done in all; less than `total` may be all there is. */
  update(done: number): void {
    this.#bar?.update(Math.min(done, this.total ?? 0), this.#fields(done));
    if (this.#bar || performance.now() - this.#lastLine < LINE_EVERY_MS) return;
    this.#lastLine = performance.now();
    const { done: text, whole, rest } = this.#fields(done);
    this.stream.write(
      this.total === null ? `${text} ${this.unit}\n` : `${text} of ${whole} ${this.unit}, ${rest}\n`,
    );
  }

  /** A line above the bar. */
  log(line: string): void {
    if (!this.#bars) {
      this.stream.write(`${line}\n`);
      return;
    }
    this.#bars.log(`${line}\n`);
    this.#bars.update();
  }

  /** Takes the bar away. */
  close(): void {
    this.#bars?.stop();
  }

  #format(): string {
    if (this.total === null) return `{done} ${this.unit}`;
    return `{bar} {percentage}%  {done} of {whole} ${this.unit}  {rest}`;
  }

  #fields(done: number): { done: string; whole: string; rest: string } {
    const seconds = (performance.now() - this.#begin) / 1000;
    const left =
      this.total !== null && done > 0 ? (seconds / done) * Math.max(0, this.total - done) : Number.NaN;
    const rest = Number.isNaN(left) ? '' : `${duration(left)} left`;
    return { done: count(done), whole: this.total === null ? '' : count(this.total), rest };
  }
}

/** A number with separators of thousands, for people. */
export function count(value: number): string {
  return value.toLocaleString('en');
}

/** `1 frame`, `27,000 frames`. */
export function countOf(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
