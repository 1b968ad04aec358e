/** @file How plots get their colours and letters: in the page, in an SVG file, and in a PNG file. */
import { isInMainFont, textPath, textWidth } from '../drawing/text.js';
import { type Html, html } from './markup.js';
import { type ColourName, fixedColour, variableColour } from './palette.js';

/** A line of text at a point of its baseline. */
export interface Label {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly colour: ColourName;
  /** Which part of the text is at x; `start` without it. */
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly bold?: boolean;
}

export interface Pen {
  colour(name: ColourName): string;
  text(label: Label): Html;
}

/** For the page, whose style sheet chooses the font, and the palette by light and dark. */
export const PAGE_PEN: Pen = { colour: variableColour, text: (label) => textElement(label, variableColour) };

/** For SVG files. */
export const SVG_PEN: Pen = { colour: fixedColour, text: (label) => textElement(label, fixedColour) };

/** For PNG files: letters are outlines, because a bare machine has no fonts. */
export const PNG_PEN: Pen = { colour: fixedColour, text: (label) => outlines(label, fixedColour) };

/** Text for the reader's fonts, which have the letters of Europe; others are outlines. */
function textElement(label: Label, paint: Pen['colour']): Html {
  const { x, y, text, size, colour, anchor, bold } = label;
  if (!isInMainFont(text)) return outlines(label, paint);
  return html`<text x="${x}" y="${y}" font-size="${size}" fill="${paint(colour)}"${
    anchor ? html` text-anchor="${anchor}"` : null
  }${bold ? html` font-weight="bold"` : null}>${text}</text>`;
}

const SHIFT = { start: 0, middle: -0.5, end: -1 };

function outlines({ x, y, text, size, colour, anchor = 'start', bold }: Label, toPaint: Pen['colour']): Html {
  const paint = toPaint(colour);
  const d = textPath(text, x + SHIFT[anchor] * textWidth(text, size), y, size);
  // The font has one weight; a stroke around the letters makes them bold.
  const stroke = bold ? html` stroke="${paint}" stroke-width="${size * 0.03}"` : null;
  return html`<path d="${d}" fill="${paint}"${stroke}/>`;
}
