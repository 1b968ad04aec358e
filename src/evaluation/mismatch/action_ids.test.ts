/** @file Ids that the label map does not have, or that are one off. */
import { describe, expect, it } from 'vitest';
import {
  changed,
  evaluate,
  fitting,
  ids,
  type Row,
  warningsOf,
} from '../../../test/support/mismatched_files.js';

describe('warnings about action ids', () => {
  it('count ids that the label map lacks on both sides', () => {
    const files = changed(fitting(), {
      predictions: ids((id) => (id === 3 ? 99 : id)),
      groundTruth: ids((id) => (id === 3 ? 7 : id)),
    });
    const rows = (side: Row[], id: number) => side.filter((row) => row.id === id).length;
    const [warning] = warningsOf(files);
    expect(warning).toBe(
      `the label map, which has 3 ids (1 to 3), lacks id 99 of the predictions, in ${rows(files.predictions, 99)} of ` +
        `174 rows and id 7 of the ground truth, in ${rows(files.groundTruth, 7)} of 174 rows: these rows are not evaluated`,
    );
  });

  it.each(['predictions', 'groundTruth'] as const)(
    'propose to add 1 to ids that begin at 0 in the %s',
    (side) => {
      const files = changed(fitting(), { [side]: ids((id) => id - 1) });
      const name = side === 'groundTruth' ? 'ground truth' : 'predictions';
      const warnings = warningsOf(files);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain(`lacks id 0 of the ${name}`);
      expect(warnings[0]).toContain(`with 1 added to every id of the ${name} 3 of 3 ids would be in it`);
      expect(warningsOf(changed(files, { [side]: ids((id) => id + 1) }))).toEqual([]);
    },
  );

  it('recognise by the boxes that all ids are off by one', () => {
    const files = changed({ ...fitting(), labels: [1, 2, 3, 4, 5] }, { groundTruth: ids((id) => id + 1) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('with 1 added to every id of the predictions');
    expect(warningsOf(changed(files, { predictions: ids((id) => id + 1) }))).toEqual([]);
  });

  it('recognise ids that are positions in the label map', () => {
    const labels = [12, 14, 17];
    const files = changed({ ...fitting(), labels }, { groundTruth: ids((id) => labels[id - 1]) });
    expect(warningsOf(files)[0]).toContain(
      'at this position of the label map, counted from 1, instead of every id',
    );
    const mended = changed(files, { predictions: ids((id) => labels[id - 1]) });
    expect(warningsOf(mended)).toEqual([]);
  });

  it('list the ids of another data set', () => {
    const warnings = warningsOf({ ...fitting(), labels: [101, 105] });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      '2 ids (101 to 105), lacks 3 ids (1, 2, 3) of the predictions, in 174 of 174 rows',
    );
    expect(evaluate({ ...fitting(), labels: [101, 105] }).mAP).toBeNull();
  });

  it('name classes with ground truth but without predictions', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ id }) => id === 1);
    const warnings = warningsOf({ ...files, predictions });
    expect(warnings).toContain(
      '2 of 3 classes with ground truth have no predictions and count as 0 in the mean: 2 "action 2", 3 "action 3"',
    );
  });
});
