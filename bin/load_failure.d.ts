export function loadFailure(error: unknown): string;
export function partFailure(error: unknown): string | null;
