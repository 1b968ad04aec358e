/** @file Colours of text on a terminal. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Gives a text a colour or another style, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

/** Returns a function that styles text, or one that leaves it alone. The caller knows whether the output can show colours. */
export function painter(color: boolean): Paint {
  return (style, text) => (color && text !== '' ? styleText(style, text, { validateStream: false }) : text);
}
