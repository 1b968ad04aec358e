/**
 * @file Holds SIGUSR1 until a command listens for it. Commands that do not listen ignore it.
 *
 * Without a listener, Node would open its debugger on a port through which other users of the machine could run code.
 */
const HELD = 'SIGUSR1';

let isHeld = false;
const hold = () => {
  isHeld = true;
};

/** Holds the signal from now on. `received` has the signals that arrived earlier. */
export function holdSignals(received: readonly string[] = []): void {
  if (received.includes(HELD)) isHeld = true;
  // There must be a listener at every moment, or a signal that is on its way is lost.
  if (!process.listeners(HELD).includes(hold)) process.on(HELD, hold);
}

/** Restores the system's handling of the signal, which ends the process. */
export function releaseSignal(signal: NodeJS.Signals): void {
  if (signal === HELD) process.off(HELD, hold);
}

/** Returns whether the signal was held, and forgets it. */
export function takeHeldSignal(signal: NodeJS.Signals): boolean {
  if (signal !== HELD || !isHeld) return false;
  isHeld = false;
  return true;
}
