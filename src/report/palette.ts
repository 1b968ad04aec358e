/** @file Colours of the report: CSS variables in the page, so that it can be light or dark, and fixed ones in files. */

interface Palette {
  readonly background: string;
  readonly surface: string;
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly blue: string;
  readonly orange: string;
  readonly green: string;
  readonly purple: string;
  readonly red: string;
  readonly good: string;
  readonly warning: string;
}

export type ColourName = keyof Palette;

/** Both palettes: text has a contrast of at least 4.5 to surface and background, lines of plots at least 3. */
const LIGHT: Palette = {
  background: '#f5f6f4',
  surface: '#ffffff',
  ink: '#1b2126',
  muted: '#5a656e',
  grid: '#dfe3e3',
  blue: '#1264b3',
  orange: '#b9500b',
  green: '#137a5b',
  purple: '#7a3fb0',
  red: '#b3261e',
  good: '#137a5b',
  warning: '#9a4a00',
};

const DARK: Palette = {
  background: '#0f1316',
  surface: '#181e23',
  ink: '#e8ecee',
  muted: '#9dabb5',
  grid: '#2d373e',
  blue: '#6db3f5',
  orange: '#f2a05c',
  green: '#5fcfa5',
  purple: '#c39bf0',
  red: '#f28b82',
  good: '#5fcfa5',
  warning: '#f2a05c',
};

/** The CSS variable of a colour. */
export function variableColour(name: ColourName): string {
  return `var(--${name})`;
}

/** The colour of the light palette. */
export function fixedColour(name: ColourName): string {
  return LIGHT[name];
}

/** Declarations of both palettes for a style sheet; the reader's system chooses. */
export function paletteCss(): string {
  const declare = (palette: Palette) =>
    Object.entries(palette)
      .map(([name, value]) => `--${name}:${value}`)
      .join(';');
  return `:root{color-scheme:light dark;${declare(LIGHT)}}\n@media(prefers-color-scheme:dark){:root{${declare(DARK)}}}\n`;
}
