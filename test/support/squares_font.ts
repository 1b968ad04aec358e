/** @file A font that a test makes: a square for each of some characters. */
import opentype from 'opentype.js';

const CORNERS = [
  [900, 0],
  [900, 800],
  [100, 800],
];

/** The bytes of an OpenType font; `empty` are characters without an outline. */
export function squaresFont(characters: readonly string[], empty: readonly string[] = []): Buffer {
  const square = new opentype.Path();
  square.moveTo(100, 0);
  for (const [x, y] of CORNERS) square.lineTo(x, y);
  square.close();
  const glyph = (path: opentype.Path, character?: string) =>
    new opentype.Glyph({
      name: character === undefined ? '.notdef' : `u${character.codePointAt(0)!.toString(16)}`,
      unicode: character?.codePointAt(0),
      advanceWidth: 1000,
      path,
    });
  const glyphs = [
    glyph(new opentype.Path()),
    ...characters.map((character) => glyph(square, character)),
    ...empty.map((character) => glyph(new opentype.Path(), character)),
  ];
  const sizes = { unitsPerEm: 1000, ascender: 800, descender: -200 };
  const font = new opentype.Font({ familyName: 'Squares', styleName: 'Regular', ...sizes, glyphs });
  return Buffer.from(font.toArrayBuffer());
}
