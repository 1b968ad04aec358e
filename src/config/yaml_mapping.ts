/** @file A mapping of a YAML file, with the line of every key. */

/** A key of a mapping. `value` is a YamlMapping if the file has a mapping there. */
export interface YamlEntry {
  key: string;
  line: number;
  value: unknown;
  /** The value as the file writes it, if YAML does not read it as text. */
  written?: string;
}

export class YamlMapping {
  constructor(readonly entries: readonly YamlEntry[]) {}
}
