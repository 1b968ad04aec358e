/** @file Walks through docs/own-videos.md: runs its commands in their order, on three videos that are drawn here. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { stmixerHere } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { modelTensors } from '../support/model_tensors.js';
import { temporaryFolder } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const PAGE = readFileSync('docs/own-videos.md', 'utf8');
const TINY = resolve('config_files/tiny.yaml');
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

/** The fenced blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    ([, text]) => text,
  );
}

/** The commands of the page, without `stmixer`. */
const commands = blocks('sh').flatMap((block) =>
  block
    .split('\n')
    .flatMap((line) => (line.startsWith('stmixer ') ? [line.trim().split(/\s+/).slice(1)] : [])),
);

/** The videos in the page's drawing of folders. */
const videos = [...PAGE.matchAll(/^ {2}(train|val)\/\n((?: {4}\S+\.mp4\n)+)/gm)].flatMap(([, part, files]) =>
  files
    .trim()
    .split(/\s+/)
    .map((file) => join('videos', part, file)),
);

/** A red person who walks, and a blue one who sits, for two seconds. */
function drawVideo(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const colour = (name: string, size: string) => `color=${name}:size=${size}:rate=10:duration=2`;
  const source =
    `${colour('gray', '96x64')}[room];${colour('red', '16x40')}[red];${colour('blue', '16x30')}[blue];` +
    "[room][red]overlay=x='4+8*t':y=10[one];[one][blue]overlay=x=60:y=20";
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, '-c:v', 'mpeg4', '-y', path]);
}

/** What CVAT exports of these videos as "CVAT for video 1.1". */
function cvatProject(names: readonly string[]): string {
  const box = (frame: number, x: number, y: number, action: string) =>
    `<box frame="${frame}" outside="0" occluded="0" keyframe="1" xtl="${x}" ytl="${y}" xbr="${x + 16}" ybr="50.0" z_order="0">` +
    `<attribute name="action">${action}</attribute></box>`;
  const tasks = names.map(
    (name, id) =>
      `<task><id>${id}</id><name>${name}</name><mode>interpolation</mode><stop_frame>19</stop_frame><source>${name}.mp4</source><original_size><width>96</width><height>64</height></original_size></task>`,
  );
  const tracks = names.flatMap((_, id) => [
    `<track id="${2 * id}" label="person" task_id="${id}">${box(0, 4, 10, 'walk')}${box(19, 19, 10, 'walk')}</track>`,
    `<track id="${2 * id + 1}" label="person" task_id="${id}">${box(0, 60, 20, 'sit')}</track>`,
  ]);
  const attribute =
    '<attribute><name>action</name><mutable>True</mutable><input_type>select</input_type><values>walk\nsit</values></attribute>';
  return `<?xml version="1.0"?><annotations><version>1.1</version><meta><project><tasks>${tasks.join('')}</tasks><labels><label><name>person</name><attributes>${attribute}</attributes></label></labels></project></meta>${tracks.join('')}</annotations>`;
}

function cocoOf(names: readonly string[]): string {
  return JSON.stringify({
    images: names.map((name, id) => ({ id, file_name: `${name}/${name}_000001.jpg`, width: 96, height: 64 })),
    categories: [{ id: 1, name: 'walk' }],
    annotations: names.map((_, id) => ({ id, image_id: id, category_id: 1, bbox: [4, 10, 16, 40] })),
  });
}

/** Settings that make the page's model tiny. */
function tinySettings(): string[] {
  const { config } = loadConfig(TINY, []);
  const names = 'EMBED_DIM DEPTH NUM_HEADS PRETRAIN_IMG_SIZE DROP_PATH_RATE USE_CHECKPOINT'.split(' ');
  const vit = names.map((name) => [`ViT.${name}`, String(config.ViT[name as keyof typeof config.ViT])]);
  const data =
    'DATA.NUM_FRAMES 4 DATA.TRAIN_MIN_SCALES [32] DATA.TEST_MIN_SCALES [32] MODEL.STM.TEMPORAL_POINTS 2';
  const small = `MODEL.STM.NUM_STAGES 2 MODEL.STM.OUT_MULTIPLIER 2 TEST.VIDEOS_PER_BATCH 4 ${MICRO} SOLVER.MAX_EPOCH 1 SOLVER.STEPS () SOLVER.WARMUP_EPOCH 0`;
  return [
    ...vit.flat().map((word) => (word === 'true' ? 'True' : word === 'false' ? 'False' : word)),
    ...`${data} ${small} SOLVER.EVAL_AFTER 0`.split(' '),
  ];
}

/** A made-up folder with everything that the page takes for granted. */
function prepareFolder(): void {
  for (const path of videos) drawVideo(path);
  const names = videos.map((path) => path.replace(/^.*\/|\.mp4$/g, ''));
  writeFileSync('annotations.xml', cvatProject(names));
  writeFileSync('coco.json', cocoOf(names));
  writeFileSync('desk.yaml', blocks('yaml')[0]);
}

/** Runs the commands of the page in the working directory; returns what each of them printed last. */
async function walk(): Promise<Record<string, string>> {
  const tiny = tinySettings();
  const { config } = loadConfig('desk.yaml', [...tiny, 'MODEL.STM.ACTION_CLASSES', '80']);
  await writePth(config.MODEL.WEIGHT, new Map([['model', modelTensors(config)]]));
  const printed: Record<string, string> = {};
  for (const words of commands) {
    const name = words.slice(0, words[0] === 'data' ? 2 : 1).join(' ');
    // The page speaks of frames that are there already.
    if (name === 'data list') cpSync('data/frames', 'my_frames', { recursive: true });
    const computes = ['train', 'test', 'detect'].includes(words[0]) ? ['--engine', TEST_ENGINE] : [];
    const run = await stmixerHere([...words, ...computes, ...(words.includes('desk.yaml') ? tiny : [])]);
    expect(run.code, `stmixer ${words.join(' ')}\n${run.stdout}\n${run.stderr}`).toBe(0);
    printed[name] = run.stdout + run.stderr;
  }
  return printed;
}

it.runIf(hasFfmpeg)(
  'every command of the page works in its order, from three videos to mAP',
  async () => {
    const before = process.cwd();
    process.chdir(realpathSync(temporaryFolder()));
    try {
      prepareFolder();
      const printed = await walk();
      expect(Object.keys(printed)).toEqual(WALKED);
      expect(printed.test).toMatch(/1 +walk .*\n.* 2 +sit [\s\S]*mAP@0\.5 \d\.\d+ over 2 classes/);
      expect(printed['data prepare']).toContain('Templates of the annotations are in data/annotations');
      expect(printed['data check']).toMatch(/ready to train/);
      const read = (path: string) => readFileSync(path, 'utf8');
      // The page shows the files as they are.
      expect(read('data/annotations/label_map.pbtxt')).toBe(
        blocks('text').find((block) => block.startsWith('item')),
      );
      const rows = read('data/annotations/train.csv').trimEnd().split('\n');
      expect(
        rows.map((row) =>
          row
            .split(',')
            .filter((_, i) => [0, 1, 6].includes(i))
            .join(),
        ),
      ).toEqual(
        ['desk_1', 'desk_2'].flatMap((video) =>
          ['0000,1', '0000,2', '0001,1', '0001,2'].map((end) => `${video},${end}`),
        ),
      );
      expect(rows[0].split(',')).toHaveLength(/`(desk_1,\S+)`/.exec(PAGE)![1].split(',').length);
      for (const column of read('data/frame_lists/train.csv').split('\n')[0].split(' '))
        expect(PAGE).toContain(`| \`${column}\` |`);
      expect(existsSync('output/desk/report/index.html')).toBe(true);
      expect(existsSync('found/detections.mp4')).toBe(true);
    } finally {
      process.chdir(before);
    }
  },
  180_000,
);

const WALKED = [
  'data prepare',
  'data import',
  'data check',
  'data show',
  'train',
  'test',
  'report',
  'detect',
  'data list',
];
