/** @file Streams files out of a zip archive, such as a pip wheel. */
import type { Readable } from 'node:stream';
import yauzl from 'yauzl';

export interface ZipEntry {
  name: string;
  /** Unpacked size in bytes. */
  size: number;
  raw: yauzl.Entry;
}

/** An open archive. Errors describe the fault, but do not name the file. */
export class ZipFile {
  private constructor(
    private readonly file: yauzl.ZipFile,
    readonly entries: ZipEntry[],
  ) {}

  static async open(path: string): Promise<ZipFile> {
    const file = await new Promise<yauzl.ZipFile>((resolve, reject) =>
      yauzl.open(path, { lazyEntries: true, autoClose: false }, (error, opened) =>
        error ? reject(error) : resolve(opened),
      ),
    );
    const entries: ZipEntry[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        file.on('entry', (raw: yauzl.Entry) => {
          entries.push({ name: raw.fileName, size: raw.uncompressedSize, raw });
          file.readEntry();
        });
        file.on('end', resolve);
        file.on('error', reject);
        file.readEntry();
      });
    } catch (error) {
      file.close();
      throw error;
    }
    return new ZipFile(file, entries);
  }

  close(): void {
    this.file.close();
  }

  /** Streams the content of an entry. */
  read({ raw }: ZipEntry): Promise<Readable> {
    return new Promise((resolve, reject) =>
      this.file.openReadStream(raw, (error, stream) => (error ? reject(error) : resolve(stream))),
    );
  }
}
