/** @file What a stream can show: colours, and lines that change. */

/** The parts of a stream that matter. */
export interface OutputStream {
  readonly isTTY?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether to write colours. FORCE_COLOR decides if it is set: 0 and false mean no, all else yes. Then NO_COLOR, if it is not
 * empty, means no. Otherwise terminals get colours, except those that call themselves dumb.
 */
export function showsColours(stream: OutputStream, env: Environment = process.env): boolean {
  const { FORCE_COLOR, NO_COLOR } = env;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  if (NO_COLOR) return false;
  return showsChanges(stream, env);
}

/** Whether a line can be written over, as progress bars do. */
export function showsChanges(stream: OutputStream, env: Environment = process.env): boolean {
  return isTerminal(stream, env) && env.TERM !== 'dumb';
}

/** Whether somebody looks at the stream. mpirun gives its processes terminals of its own, and passes on what they write. */
export function isTerminal(stream: OutputStream, env: Environment = process.env): boolean {
  return stream.isTTY === true && env.OMPI_COMM_WORLD_RANK === undefined && env.PMI_RANK === undefined;
}
