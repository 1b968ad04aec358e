/**
 * @file SIGUSR1 while no command listens for it: kept for a command that will, ignored by all others.
 *
 * Without a listener Node would open its debugger on a port, through which other users of the machine could run code.
 */
const HELD = 'SIGUSR1';

let isHeld = false;
const hold = () => {
  isHeld = true;
};

/** Holds the signal from now on; `received` are the signals that came before. */
export function holdSignals(received: readonly string[] = []): void {
  if (received.includes(HELD)) isHeld = true;
  // Never without a listener, not even for a moment: a signal that is on its way would be lost.
  if (!process.listeners(HELD).includes(hold)) process.on(HELD, hold);
}

/** Gives the signal back to the system, which ends the process on it. */
export function releaseSignal(signal: NodeJS.Signals): void {
  if (signal === HELD) process.off(HELD, hold);
}

/** Whether a signal came while nobody listened for it; asked once, since it then belongs to who asked. */
export function takeHeldSignal(signal: NodeJS.Signals): boolean {
  if (signal !== HELD || !isHeld) return false;
  isHeld = false;
  return true;
}
