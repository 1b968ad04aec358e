/** @file Reads the children of an XML document's root one after the other, so that large documents need little memory. */
import { SaxesParser } from 'saxes';
import { DataError } from '../../../errors.js';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The text in it, without that of its children. */
  readonly text: string;
  /** Line of the file. */
  readonly line: number;
}

type Growing = { -readonly [K in keyof XmlElement]: XmlElement[K] } & { children: Growing[] };

const CHUNK = 1 << 16;

/** Calls `onChild` for each child of the root. Throws DataError with file and line if the XML is broken. */
export function readXmlChildren(path: string, text: string, onChild: (element: XmlElement) => void): void {
  const parser = new SaxesParser();
  const open: Growing[] = [];
  parser.on('opentag', ({ name, attributes }) => {
    open.push({ name, attributes, children: [], text: '', line: parser.line });
  });
  parser.on('text', (piece) => {
    const element = open.at(-1);
    if (element) element.text += piece;
  });
  parser.on('closetag', () => {
    const element = open.pop()!;
    if (open.length === 1) onChild(element);
    else open.at(-1)?.children.push(element);
  });
  parser.on('error', ({ message }) => {
    throw new DataError(
      `${path}:${parser.line}: the XML is damaged or cut off (${message.replace(/^\d+:\d+: /, '')}); export it again`,
    );
  });
  for (let at = 0; at < text.length; at += CHUNK) parser.write(text.slice(at, at + CHUNK));
  parser.close();
}

/** The first child with a name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name);
}

export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? [];
}

/** The text of the child with a name; undefined if there is none, or it is empty. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return childOf(element, name)?.text.trim() || undefined;
}
