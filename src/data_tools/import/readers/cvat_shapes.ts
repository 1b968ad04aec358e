/** @file Shapes of CVAT as boxes. */
import { DataError } from '../../../errors.js';
import type { Corners, Losses } from '../model.js';
import { boxAround, cornersOf, pointsOf, turnedBox } from '../shapes.js';
import type { XmlElement } from './xml.js';

const SHAPES = ['box', 'polygon', 'polyline', 'points', 'ellipse', 'cuboid', 'mask', 'skeleton'];

export function isShape(name: string): boolean {
  return SHAPES.includes(name);
}

/** The box of a shape, or null if it has none; both are noted. Throws DataError if a number is missing. */
export function cvatBox(losses: Losses, shape: XmlElement, where: string): Corners | null {
  const box = boxOf(shape, where);
  const degrees = Number(shape.attributes.rotation ?? 0);
  if (box === null)
    losses.add(
      'left',
      where,
      shape.name === 'points' ? 'group of points' : shape.name,
      shape.name === 'points' ? 'groups of points' : undefined,
    );
  else if (shape.name !== 'box') losses.add('boxed', where, shape.name);
  if (box === null || shape.name !== 'box' || !(degrees % 360)) return box;
  losses.add('boxed', where, 'rotated box', 'rotated boxes');
  return turnedBox(box, degrees, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
}

function boxOf(shape: XmlElement, where: string): Corners | null {
  const read = (name: string) => numberOf(shape, name, where);
  switch (shape.name) {
    case 'box':
      return [read('xtl'), read('ytl'), read('xbr'), read('ybr')];
    case 'polygon':
      return boxAround(pointsOf((shape.attributes.points ?? '').split(/[;,]/).map(Number)));
    case 'ellipse': {
      const [cx, cy, rx, ry] = ['cx', 'cy', 'rx', 'ry'].map(read);
      return turnedBoxOfEllipse(shape, [cx - rx, cy - ry, cx + rx, cy + ry]);
    }
    case 'mask':
      return cornersOf(read('left'), read('top'), read('width'), read('height'));
    case 'cuboid': {
      const corners = Object.keys(shape.attributes).filter((name) => /^x[tb][lr]\d$/.test(name));
      return boxAround(corners.map((name) => [read(name), read(`y${name.slice(1)}`)] as const));
    }
    default:
      return null;
  }
}

function turnedBoxOfEllipse({ attributes }: XmlElement, [x1, y1, x2, y2]: Corners): Corners {
  const angle = (Number(attributes.rotation ?? 0) * Math.PI) / 180;
  const [cx, cy, rx, ry] = [(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2];
  const width = Math.hypot(rx * Math.cos(angle), ry * Math.sin(angle));
  const height = Math.hypot(rx * Math.sin(angle), ry * Math.cos(angle));
  return [cx - width, cy - height, cx + width, cy + height];
}

function numberOf({ name, attributes }: XmlElement, attribute: string, where: string): number {
  const text = attributes[attribute];
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new DataError(
    `${where}: <${name}> needs a number in ${attribute}, found ${JSON.stringify(text ?? '')}`,
  );
}
