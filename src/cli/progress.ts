/** @file Progress of a long command: a bar below the output on a terminal, otherwise a line every 30 seconds. */
import { MultiBar, type Options, Presets, type SingleBar } from 'cli-progress';
import { count, roughDuration } from '../util/text.js';
import { showsChanges } from './terminal.js';

const LINE_EVERY_MS = 30_000;

/** Options of all progress bars. */
export const BAR_OPTIONS: Options = {
  // A process that is killed could not show the cursor again.
  hideCursor: false,
  clearOnComplete: true,
  // Without this, the lines above are cut at the terminal's width too.
  linewrap: true,
  gracefulExit: false,
  barsize: 24,
};

export class Progress {
  readonly #bars: MultiBar | null;
  readonly #bar: SingleBar | null;
  readonly #begin = performance.now();
  #lastLine = performance.now();

  /** Counts up to `total`, which is null if it is unknown. `unit` names what is counted, e.g. frames. */
  constructor(
    private readonly total: number | null,
    private readonly unit: string,
    private readonly stream: NodeJS.WriteStream = process.stdout,
  ) {
    this.#bars = showsChanges(stream)
      ? new MultiBar({ ...BAR_OPTIONS, stream, format: this.#format() }, Presets.shades_classic)
      : null;
    this.#bar = this.#bars?.create(total ?? 0, 0, this.#fields(0)) ?? null;
  }

  /** Sets the number of units that are done. The work may end before `total`. */
  update(done: number): void {
    this.#bar?.update(Math.min(done, this.total ?? 0), this.#fields(done));
    if (this.#bar || performance.now() - this.#lastLine < LINE_EVERY_MS) return;
    this.#lastLine = performance.now();
    const { done: text, whole, rest } = this.#fields(done);
    this.stream.write(
      this.total === null ? `${text} ${this.unit}\n` : `${text} of ${whole} ${this.unit}, ${rest}\n`,
    );
  }

  /** Writes a line above the bar. */
  log(line: string): void {
    if (!this.#bars) {
      this.stream.write(`${line}\n`);
      return;
    }
    this.#bars.log(`${line}\n`);
    this.#bars.update();
  }

  /** Removes the bar. */
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
    const rest = Number.isNaN(left) ? '' : `${roughDuration(left)} left`;
    return { done: count(done), whole: this.total === null ? '' : count(this.total), rest };
  }
}
