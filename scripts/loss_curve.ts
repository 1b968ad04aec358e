/** @file Draws the loss of a run as SVG. */
import type { MetricsLine } from '../src/training/hooks/metrics.js';

const WIDTH = 720;
const HEIGHT = 320;
const MARGIN = { left: 56, right: 16, top: 32, bottom: 40 };

/** The total loss over the iterations, averaged between logged lines, as an SVG document. */
export function lossCurve(metrics: readonly Pick<MetricsLine, 'iteration' | 'loss_average'>[]): string {
  const lastIteration = Math.max(...metrics.map((line) => line.iteration));
  const highest = Math.max(...metrics.map((line) => line.loss_average)) * 1.05;
  const x = (iteration: number) =>
    MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * iteration) / lastIteration;
  const y = (loss: number) =>
    HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * loss) / highest;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const grid = ticks.map((share) => {
    const [gx, gy] = [x(share * lastIteration).toFixed(1), y(share * highest).toFixed(1)];
    return (
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${gy}" y2="${gy}" stroke="#ddd"/>` +
      `<text x="${MARGIN.left - 8}" y="${gy}" dy="4" text-anchor="end">${(share * highest).toFixed(2)}</text>` +
      `<text x="${gx}" y="${HEIGHT - MARGIN.bottom + 20}" text-anchor="middle">${Math.round(share * lastIteration)}</text>`
    );
  });
  const points = metrics.map((line) => `${x(line.iteration).toFixed(1)},${y(line.loss_average).toFixed(1)}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#444">`,
    '<title>Training loss by iteration</title>',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${MARGIN.left}" y="20" font-size="14" font-weight="bold">Training loss by iteration</text>`,
    ...grid,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#1668b8" stroke-width="2.5"/>`,
    '</svg>',
    '',
  ].join('\n');
}
