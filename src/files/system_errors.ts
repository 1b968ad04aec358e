/** @file Errors of the operating system in words. */

/** Clauses that can stand alone or after "<path>: cannot be written:". */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'the path is in use, for example as a mount point',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'the path already exists',
  EHOSTDOWN: 'the network share does not answer',
  EIO: 'the disk or network share reported an input/output error',
  EISDIR: 'the path is a folder, not a file',
  ELOOP: 'the path has a cycle of symbolic links',
  ENAMETOOLONG: 'the name is too long',
  ENODEV: 'the disk does not exist',
  ENOENT: 'no such file or folder',
  ENOSPC: 'no space left on the disk',
  ENOTCONN: 'the network share is not connected',
  ENOTDIR: 'a part of the path is a file, not a folder',
  ENXIO: 'the disk does not exist',
  EPERM: 'operation not permitted',
  EPIPE: 'its reader has ended',
  EROFS: 'the file system is read-only',
  ESTALE: 'the network share is gone',
  ETIMEDOUT: 'the network share does not answer',
};

/** The meaning of an error code of the system; null for other errors. */
export function systemErrorMeaning(error: unknown): string | null {
  return REASONS[(error as NodeJS.ErrnoException)?.code ?? ''] ?? null;
}

/** The meaning of an error of the system, or else its own message. */
export function systemErrorText(error: unknown): string {
  return systemErrorMeaning(error) ?? (error instanceof Error ? error.message : String(error));
}
