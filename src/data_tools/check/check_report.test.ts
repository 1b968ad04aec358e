import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkFolder, makeIntactFolder } from '../../../test/support/checked_folder.js';
import { checkJson, checkText } from './check_report.js';

describe('the report of data check', () => {
  it('is complete as JSON', async () => {
    const ava = await makeIntactFolder();
    rmSync(ava.framePath('a', 3));
    const json = JSON.parse(checkJson(await checkFolder(ava)));
    expect(json).toMatchObject({
      ok: false,
      splits: { train: { videos: 2, frames: 16, key_frames: 3, boxes: 3, labels: 4 } },
      classes: [{ id: 1, name: 'action 1', train: 2, test: 2 }, {}, {}],
      findings: [
        {
          severity: 'error',
          split: 'train',
          kind: 'missing-frame',
          count: 1,
          examples: [expect.any(String)],
        },
        { split: 'test' },
        { split: null, kind: 'overlap', count: 2, examples: ['video a', 'video b'] },
        {},
        {},
        {},
      ],
    });
  });

  it('is readable as text', async () => {
    const ava = await makeIntactFolder();
    rmSync(ava.framePath('a', 3));
    const text = checkText(await checkFolder(ava), { colour: false, width: 60 });
    expect(text).toContain(
      '       videos  frames  key frames  boxes  labels\ntrain       2      16           3      3       4\n',
    );
    expect(text).toContain(
      '  action    train  test      action    train  test\n1 action 1      2     2    3 action 3      1     1\n',
    );
    expect(text).toMatch(/^error train: a frame that a clip uses is missing\n {2}\S*a_000003\.jpg: video a/m);
    expect(text).toMatch(/^warning: videos are annotated .* \(2\)\n {2}video a\n {2}video b\n {2}→ /m);
    expect(text).toMatch(/training or its evaluation would fail: 2 errors, 1 warning, 3 notes$/m);
  });
});
