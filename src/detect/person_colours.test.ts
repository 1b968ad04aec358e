/** @file Colours of people from one key frame to the next. */
import { describe, expect, it } from 'vitest';
import { COLOURS } from '../drawing/colours.js';
import { PersonColours } from './person_colours.js';

const at = (x: number) => [x, 0.2, x + 0.2, 0.8];

describe('PersonColours', () => {
  it('keeps the colour of a person who moves a little, whatever the order of the boxes', () => {
    const colours = new PersonColours();
    expect(colours.assign([at(0.1), at(0.6)])).toEqual([0, 1]);
    expect(colours.assign([at(0.65), at(0.12)])).toEqual([1, 0]);
    expect(colours.assign([at(0.15)])).toEqual([0]);
  });

  it('gives the person with the larger overlap the colour, and a newcomer another one', () => {
    const colours = new PersonColours();
    colours.assign([at(0.3)]);
    expect(colours.assign([at(0.4), at(0.31)])).toEqual([1, 0]);
  });

  it('gives newcomers colours that nobody else in the image has', () => {
    const colours = new PersonColours();
    const stays = at(0);
    let newcomer = 0.3;
    expect(colours.assign([stays])).toEqual([0]);
    for (let i = 0; i < 3 * COLOURS; i++) {
      newcomer = newcomer === 0.3 ? 0.7 : 0.3;
      const [own, other] = colours.assign([stays, at(newcomer)]);
      expect(own).toBe(0);
      expect(other).not.toBe(0);
    }
    expect(new Set(colours.assign(Array.from({ length: 30 }, (_, i) => at(2 + i)))).size).toBe(COLOURS);
  });
});
