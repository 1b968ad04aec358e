/** @file Bounds on how Python values may contain one another. */
import { type PyDict, PyTuple, type PyValue } from '../python/values.js';

/** Maximum nesting of lists, tuples and dicts in a checkpoint. Code that walks values may recurse this far. */
export const MAX_NESTING = 200;

/**
 * Refuses values that nest too deep or contain themselves, so that code that walks them ends. PyOpaque objects are not
 * entered: no code walks them, and object graphs have cycles.
 */
export function checkNesting(root: PyValue, fail: (why: string) => never): void {
  /** Height of each finished container; OPEN while its items are being visited. */
  const heights = new Map<object, number>();
  const OPEN = -1;
  const stack: { container: object; items: Iterator<PyValue>; height: number }[] = [];
  const enter = (value: PyValue): number => {
    const items = itemsOf(value);
    if (!items) return 0;
    const known = heights.get(value as object);
    if (known === OPEN) fail('a value contains itself');
    if (known !== undefined) return known;
    if (stack.length >= MAX_NESTING) fail(`values nest more than ${MAX_NESTING} deep`);
    heights.set(value as object, OPEN);
    stack.push({ container: value as object, items, height: 1 });
    return 0;
  };
  enter(root);
  while (stack.length > 0) {
    const frame = stack.at(-1)!;
    const next = frame.items.next();
    if (!next.done) {
      frame.height = Math.max(frame.height, 1 + enter(next.value));
      continue;
    }
    stack.pop();
    if (stack.length + frame.height > MAX_NESTING) fail(`values nest more than ${MAX_NESTING} deep`);
    heights.set(frame.container, frame.height);
    const parent = stack.at(-1);
    if (parent) parent.height = Math.max(parent.height, 1 + frame.height);
  }
}

function itemsOf(value: PyValue): Iterator<PyValue> | null {
  if (Array.isArray(value)) return (value as PyValue[]).values();
  if (value instanceof PyTuple) return value.items.values() as Iterator<PyValue>;
  if (value instanceof Map) return itemsOfDict(value);
  return null;
}

function* itemsOfDict(dict: PyDict): Generator<PyValue> {
  for (const [key, value] of dict) {
    if (key instanceof PyTuple) yield key;
    yield value;
  }
}
