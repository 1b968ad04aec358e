/** @file Errors that a user can act on, each with the exit code of the command line. */

/** An error with a message for the user. The command line prints it without a stack trace. */
export class UserError extends Error {
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Wrong use of the command line or a configuration that cannot run: exit code 2. */
export class ConfigError extends UserError {
  override readonly exitCode = 2;
}

/** Missing, broken or contradictory data: exit code 3. */
export class DataError extends UserError {
  override readonly exitCode = 3;
}

/** A weight file or checkpoint that cannot be read or written: exit code 4. */
export class CheckpointError extends UserError {
  override readonly exitCode = 4;
}

/** An engine or device that is not available: exit code 1. */
export class EngineError extends UserError {}

/** Memory that could not be allocated while a model was running: exit code 1. */
export class OutOfMemoryError extends UserError {}

/** Processes that cannot work together, or that have lost each other: exit code 1. */
export class CommunicationError extends UserError {}

/** An error of another process, which ends this one with the same exit code. */
export class PeerError extends UserError {
  constructor(
    message: string,
    override readonly exitCode: number,
  ) {
    super(message);
  }
}
