/** @file Works on many items, several at a time. */

/** Works on the items, `jobs` at a time. The first error aborts the others and is thrown once they have ended. */
export async function inParallel<T>(
  items: readonly T[],
  { jobs, abort }: { jobs: number; abort: AbortController },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const errors: unknown[] = [];
  const worker = async () => {
    for (const item of queue) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
        abort.abort(error);
      }
      if (errors.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
  if (errors.length > 0) throw errors[0];
}
