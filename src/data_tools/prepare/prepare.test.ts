/** @file Tests of preparing videos: with ffmpeg where there is one, and with a script in its place. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { dataConfig } from '../../../test/support/ava_folder.js';
import { type Finished, start, stmixerHere } from '../../../test/support/cli.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { readFrameLists } from '../../data/datasets/frame_lists.js';
import { ffmpegError } from '../../media/ffmpeg.js';
import { parseMetadata, type VideoMetadata } from '../../media/video_metadata.js';
import { chooseVideos, findCandidates, type VideoFile } from './videos.js';

const hasFfmpeg = (process.env.PATH ?? '')
  .split(delimiter)
  .some((folder) => existsSync(join(folder, 'ffmpeg')));

/** Runs the command in this process; `path` takes the place of the PATH. */
const prepare = (videos: string, out: string, flags: string[] = [], path?: string): Promise<Finished> => {
  if (path !== undefined) vi.stubEnv('PATH', path);
  onTestFinished(() => void vi.unstubAllEnvs());
  return stmixerHere(['data', 'prepare', '--videos', videos, '--out', out, ...flags]);
};

/** The metadata of a file of one stream. */
const metadata = (format: string, stream: string) =>
  parseMetadata([`Input #0, ${format}, from x:`, `  Stream #0:0: ${stream}`]);

function files(folder: string, names: readonly string[]): string {
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), 'no video');
  }
  return folder;
}

/** The bytes of a PNG file with these chunks, each of them longer than what is read of a file to tell its kind. */
function png(...chunks: readonly string[]): Buffer {
  const body = Buffer.alloc(5000 + 4);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(5000);
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([signature, ...chunks.flatMap((type) => [length, Buffer.from(type), body])]);
}

/** A folder for the PATH whose ffmpeg is this shell script, and nothing else. */
function fakeFfmpeg(script: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'ffmpeg'), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
  chmodSync(join(folder, 'ffmpeg'), 0o755);
  return folder;
}

/**
 * Answers like ffmpeg: a version, filters, a film of 4 s or what `about` says, and then what `extract` does; `$out` is the
 * pattern.
 */
const pretend = (
  extract: string,
  about = 'Input #0, mov, from x:\\n  Duration: 00:00:04.00, start: 0',
  filters = '',
) =>
  fakeFfmpeg(`case "$*" in
-version) exit 0;;
*-filters) printf '${filters}\\n';;
*-frames:v*) for out; do :; done; out=$(printf "$out" 1); ${extract};;
*) printf '${about}\\n' >&2; echo '  Stream #0:0: Video: h264' >&2; exit 1;;
esac`);

describe('before it creates any file, data prepare', () => {
  const cases: [string, string[], RegExp][] = [
    [
      'no videos',
      ['notes.txt', 'a/b.jpg'],
      /there are no videos in this folder .*there are 1 image \(.*b\.jpg\), 1 text/,
    ],
    ['a blank in a name', ['my film.mp4'], /my film\.mp4: .*cannot have spaces.*e\.g\. to my_film\.mp4/],
    ['one name twice', ['train/a.mp4', 'val/a.mkv'], /train\/a\.mp4 and .*val\/a\.mkv would both be video a/],
    ['videos beside folders', ['a.mp4', 'val/b.mp4'], /a\.mp4\) beside folders with videos/],
  ];
  it.each(cases)('refuses a folder of videos with %s', (_, names, message) => {
    const refused = { exitCode: 3, message: expect.stringMatching(message) };
    expect(() => findCandidates(files(temporaryFolder(), names))).toThrow(expect.objectContaining(refused));
  });

  it('refuses a missing folder', () => {
    expect(() => findCandidates(join(temporaryFolder(), 'none'))).toThrow(/none: .*there is no such folder/);
  });

  it('refuses an end before the start', async () => {
    const out = join(temporaryFolder(), 'out');
    const run = await prepare(files(temporaryFolder(), ['a.mp4']), out, ['--end', '800']);
    expect(run).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--end 800 must come after --start 900/),
    });
    expect(existsSync(out)).toBe(false);
  });

  it('explains how to get ffmpeg if it is missing', async () => {
    const run = await prepare(files(temporaryFolder(), ['a.mp4']), temporaryFolder(), [], temporaryFolder());
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/ffmpeg, which extracts .* is not on the PATH[\s\S]*apt-get install ffmpeg/);
  });

  it('reports an ffmpeg that does not run', async () => {
    const path = fakeFfmpeg('echo "libx.so: cannot open shared object file" >&2; exit 127');
    const run = await prepare(files(temporaryFolder(), ['a.mp4']), temporaryFolder(), [], path);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringMatching(/does not run: libx\.so/) });
  });

  it('refuses videos that end before --start', async () => {
    const run = await prepare(
      files(temporaryFolder(), ['a.mp4', 'b.mp4']),
      temporaryFolder(),
      [],
      pretend('exit 0'),
    );
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(
      /a\.mp4: it ends after 4\.0 s, before --start 900, as do the other 1\. .*--start 0/,
    );
  });
});

describe('findCandidates', () => {
  const VIDEO = metadata('mov', 'Video: h264, yuv420p, 64x48');
  /** The names of the videos, and lines about what is not taken; `answers` are ffmpeg's about files that it is asked about. */
  const look = (folder: string, answers: Record<string, VideoMetadata> = {}, except: string[] = []) => {
    const candidates = findCandidates(folder, except);
    const asked = new Map(
      candidates.unknown.map((file) => [file, answers[file.name]] as [VideoFile, VideoMetadata]),
    );
    const videos = chooseVideos(candidates, asked);
    return {
      videos,
      lines: candidates.skipped
        .messages()
        .map(({ severity, text }) => `${severity}: ${text}`.replaceAll(`${folder}/`, '')),
    };
  };

  it('finds videos at all depths, and names each list after the top folder', () => {
    const folder = files(temporaryFolder(), ['val/x.divx', 'train/walk/a.avi', 'train/run/far/b.vob']);
    expect(look(folder).videos.map(({ list, name }) => `${list}/${name}`)).toEqual([
      'train/b',
      'train/a',
      'val/x',
    ]);
  });

  it('follows links to folders, but a folder of the tree keeps its own list', () => {
    const elsewhere = files(temporaryFolder(), ['b.mp4']);
    const folder = files(temporaryFolder(), ['val/a.mp4', 'test/.keep']);
    symlinkSync('val', join(folder, 'latest'));
    symlinkSync(elsewhere, join(folder, 'test/more'));
    const { videos, lines } = look(folder);
    expect(videos.map(({ list, name }) => `${list}/${name}`)).toEqual(['test/b', 'val/a']);
    expect(lines).toContain('note: skipped: 1 folder that a link leads to again (latest)');
  });

  it('asks ffmpeg about files of unknown name and content', () => {
    const folder = files(temporaryFolder(), ['a.mp4']);
    for (const name of ['clip', 'tune.xyz', 'noise.bin']) writeFileSync(join(folder, name), Buffer.alloc(9));
    const { videos, lines } = look(folder, {
      clip: VIDEO,
      tune: metadata('ogg', 'Audio: vorbis'),
      noise: parseMetadata(['a: Invalid data found when processing input']),
    });
    expect(videos.map(({ name }) => name)).toEqual(['a', 'clip']);
    expect(lines).toEqual([
      'note: skipped: 1 file that ffmpeg cannot read (noise.bin)',
      'note: skipped: 1 sound file (tune.xyz)',
    ]);
  });

  it('asks ffmpeg about an animated PNG, however late its chunks show that', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'still.png'), png('IHDR', 'iCCP', 'IDAT', 'acTL'));
    writeFileSync(join(folder, 'moving.png'), png('IHDR', 'iCCP', 'acTL', 'IDAT'));
    writeFileSync(join(folder, 'nameless'), png('IHDR', 'acTL', 'IDAT'));
    const { unknown, skipped } = findCandidates(folder);
    expect(unknown.map((file) => file.name)).toEqual(['moving', 'nameless']);
    expect(skipped.describe()).toEqual([`1 image (${join(folder, 'still.png')})`]);
  });

  it('counts skipped files, and names the first of each kind', () => {
    const names = [
      't/a.mp4',
      't/1.jpg',
      't/2.png',
      '.DS_Store',
      'notes',
      't/code.ts',
      't/a.srt',
      't/b.mp4.part',
      't/c.zip',
    ];
    const folder = files(temporaryFolder(), names);
    writeFileSync(join(folder, 'nothing'), '');
    writeFileSync(join(folder, 'jpeg'), Buffer.from('ffd8ffe0', 'hex'));
    mkdirSync(join(folder, 'empty/inner'), { recursive: true });
    symlinkSync('nowhere', join(folder, 'lost'));
    symlinkSync('..', join(folder, 't/up'));
    execFileSync('mkfifo', [join(folder, 'pipe.mp4')]);
    const { videos, lines } = look(folder);
    expect(videos.map(({ name }) => name)).toEqual(['a']);
    expect(lines).toEqual([
      'warning: skipped: 1 broken link (lost)',
      'note: skipped: 1 empty file (0 bytes) (nothing)',
      'warning: skipped: 1 unfinished download (t/b.mp4.part)',
      'note: skipped: 1 subtitle file (t/a.srt)',
      'note: skipped: 3 images (first: jpeg)',
      'note: skipped: 2 texts or documents (first: notes)',
      'note: skipped: 1 archive or data file (t/c.zip)',
      'note: skipped: 1 pipe, socket or device (pipe.mp4)',
      'note: skipped: 1 hidden file or folder (.DS_Store)',
      'note: skipped: 1 folder that a link leads to again (t/up)',
      'note: skipped: 1 empty folder (empty/inner)',
    ]);
  });

  it.skipIf(process.getuid?.() === 0)(
    'warns about files and folders that cannot be opened (not as root)',
    () => {
      const folder = files(temporaryFolder(), ['a.mp4', 'closed/b.mp4', 'closed.bin']);
      for (const name of ['closed', 'closed.bin']) chmodSync(join(folder, name), 0);
      const { lines } = look(folder);
      chmodSync(join(folder, 'closed'), 0o700);
      expect(lines).toEqual([
        'warning: skipped: 1 folder that cannot be opened (closed)',
        'warning: skipped: 1 file that cannot be opened (closed.bin)',
      ]);
    },
  );

  it('leaves out the folders of its own results', () => {
    const folder = files(temporaryFolder(), [
      't/a.mp4',
      'out/frames/a/a_000001.jpg',
      'out/frame_lists/t.csv',
    ]);
    expect(look(folder, {}, [join(folder, 'out/frames'), join(folder, 'out/frame_lists')]).lines).toEqual([]);
  });
});

describe('data prepare with a script in place of ffmpeg', () => {
  it('names videos that are empty or broken links, and prepares the others', async () => {
    const videos = files(temporaryFolder(), ['good.mp4', 'notes.txt']);
    writeFileSync(join(videos, 'empty.mp4'), '');
    symlinkSync('nowhere', join(videos, 'lost.mp4'));
    const run = await prepare(videos, temporaryFolder(), ['--start', '0'], pretend('echo x > "$out"'));
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(
      /empty\.mp4: the file is empty \(0 bytes\)\n.*lost\.mp4: it is a link to a file that does/,
    );
    expect(run.stdout).toMatch(/^good: 1 frame/m);
    expect(run.stdout).toMatch(/^note: skipped: 1 text or document \(.*notes\.txt\)$/m);
  });

  it('reports the real type of a file that only has the name of a video', async () => {
    const videos = temporaryFolder();
    const contents = {
      'page.mp4': '<!DOCTYPE html>\n<html>Not found</html>',
      'pointer.mkv': 'version https://git-lfs.github.com/spec/v1\noid sha256:0',
      'zeros.avi': '\0'.repeat(900),
      'broken.mov': '\0\x01\x02\x03',
    };
    for (const [name, text] of Object.entries(contents)) writeFileSync(join(videos, name), text);
    const path = fakeFfmpeg('[ "$*" = -version ] || { echo "moov atom not found" >&2; exit 1; }');
    const run = await prepare(videos, temporaryFolder(), ['--start', '0'], path);
    expect(run.code).toBe(3);
    for (const sentence of [
      /page\.mp4: it is a web page \(HTML\), which a server sent in place of the video; download it again/,
      /pointer\.mkv: it is a Git LFS pointer: the video itself .*; run git lfs pull/,
      /zeros\.avi: the file holds nothing but zeros, .*; copy or download the video again/,
      /broken\.mov: moov atom not found/,
    ])
      expect(run.stderr).toMatch(sentence);
  });

  it('does not compare with a length that is only an estimate', async () => {
    const videos = files(temporaryFolder(), ['a.vob']);
    const path = pretend('echo x > "$out"', 'Input #0, mpeg, from x:\\n  Duration: 00:15:00.00, start: 0.5');
    const run = await prepare(videos, temporaryFolder(), ['--start', '0'], path);
    expect(run.stdout).toMatch(/^a: 1 frame$/m);
  });

  it('explains what to do if only ffmpeg finds that all videos end before --start', async () => {
    const videos = files(temporaryFolder(), ['a.vob']);
    const run = await prepare(videos, temporaryFolder(), [], pretend('true', 'Input #0, mpeg, from x:'));
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(
      /a\.vob: it has no frames after second 900 \(--start\)\n.*--start 0 extracts frames from/,
    );
  });

  it('names videos with washed-out colours if zscale is missing, and prepares them again once it is there', async () => {
    const videos = files(temporaryFolder(), ['a.mp4', 'b.mp4']);
    const out = temporaryFolder();
    const hdr =
      'Input #0, mov, from x:\\n  Stream #0:0: Video: hevc, yuv420p10le(tv, bt2020nc/bt2020/smpte2084), 64x48';
    const without = pretend('echo x > "$out"', hdr);
    const run = await prepare(videos, out, ['--start', '0'], without);
    expect(run.code).toBe(0);
    expect(
      run.stdout.match(
        /warning: HDR video: the colours of .*a\.mp4, .*b\.mp4 will look washed out, .*lacks the filters zscale and tonemap/g,
      ),
    ).toHaveLength(1);
    const again = await prepare(videos, out, ['--start', '0'], without);
    expect(again.stdout).toMatch(/2 done before\n/);
    const able = pretend('echo y > "$out"', hdr, ' .S. zscale V->V x\\n .S. tonemap V->V x');
    const mended = await prepare(videos, out, ['--start', '0'], able);
    expect(mended.stdout).not.toMatch(/warning|done before/);
    expect(readFileSync(join(out, 'frames/a/a_000001.jpg'), 'utf8')).toBe('y\n');
  });

  it("names a video that fails, with ffmpeg's last line, prepares the others, and tries again", async () => {
    const videos = files(temporaryFolder(), ['bad.mp4', 'good.mp4']);
    const out = temporaryFolder();
    const path = pretend(`case "$*" in
      *bad.mp4*) echo "[mov @ 0x55d0] moov atom not found" >&2; echo "Conversion failed!" >&2; exit 1;;
      *) echo x > "$out";; esac`);
    const run = await prepare(videos, out, ['--start', '0'], path);
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(/bad\.mp4: moov atom not found\n.*1 of 2 videos failed/);
    expect(run.stdout).toMatch(/^good: 1 frame; warning: 4 s less than the length stated in the file/m);
    expect(readdirSync(join(out, 'frames'))).toEqual(['good']);
    expect(readFileSync(join(out, 'frame_lists/all.csv'), 'utf8').split('\n')).toEqual([
      'original_vido_id video_id frame_id path labels',
      'good 0 0 good/good_000001.jpg ""',
      '',
    ]);
    const again = await prepare(videos, out, ['--start', '0'], pretend('echo x > "$out"'));
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/2 videos in .*, 1 done before\n/),
    });
    expect(readdirSync(join(out, 'frames'))).toEqual(['bad', 'good']);
  });

  it('stops if the disk is full', async () => {
    const videos = files(temporaryFolder(), ['a.mp4', 'b.mp4', 'c.mp4']);
    const out = temporaryFolder();
    const path = pretend('echo "av_interleaved_write_frame(): No space left on device" >&2; exit 1');
    const run = await prepare(videos, out, ['--start', '0', '--jobs', '1'], path);
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stmixer: there is no space left for the frames/),
    });
    expect(readdirSync(join(out, 'frames'))).toEqual([]);
  });

  it('refuses frames of other settings or another origin', async () => {
    const videos = files(temporaryFolder(), ['a.mp4']);
    const out = temporaryFolder();
    const path = pretend('echo x > "$out"');
    expect((await prepare(videos, out, ['--start', '0'], path)).code).toBe(0);
    const other = await prepare(videos, out, ['--start', '0', '--fps', '25'], path);
    expect(other).toMatchObject({ code: 3, stderr: expect.stringMatching(/--fps 30 .*, not .*--fps 25/) });
    const foreign = temporaryFolder();
    mkdirSync(join(foreign, 'frames/a'), { recursive: true });
    const run = await prepare(videos, foreign, ['--start', '0'], path);
    expect(run).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/frames\/a exists already and was not made/),
    });
  });

  it('prepares a video again if its file has changed', async () => {
    const videos = files(temporaryFolder(), ['a.mp4']);
    const out = temporaryFolder();
    await prepare(videos, out, ['--start', '0'], pretend('echo old > "$out"'));
    writeFileSync(join(videos, 'a.mp4'), 'the whole video');
    expect((await prepare(videos, out, ['--start', '0'], pretend('echo new > "$out"'))).code).toBe(0);
    expect(readFileSync(join(out, 'frames/a/a_000001.jpg'), 'utf8')).toBe('new\n');
  });

  it('ends its child processes on a signal, and continues from there', async () => {
    const videos = files(temporaryFolder(), ['a.mp4', 'b.mp4']);
    const out = temporaryFolder();
    const pidFile = join(temporaryFolder(), 'pid');
    const slow = pretend(
      `case "$*" in *a.mp4*) echo x > "$out";; *) echo $$ > ${pidFile}; exec sleep 60;; esac`,
    );
    const args = ['data', 'prepare', '--videos', videos, '--out', out, '--start', '0', '--jobs', '1'];
    const { child, finished } = start(args, { PATH: slow });
    while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '')
      await new Promise((wake) => setTimeout(wake, 50));
    child.kill('SIGINT');
    const run = await finished;
    expect(run).toMatchObject({ code: 130, stderr: '' });
    expect(run.stdout).toMatch(/stopped; 1 video of 2 done\. Run the same command again to continue/);
    expect(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0)).toThrow();
    expect(readdirSync(join(out, 'frames'))).toEqual(['a']);
    expect((await prepare(videos, out, ['--start', '0'], pretend('echo x > "$out"'))).stdout).toMatch(
      /1 done before/,
    );
  });

  it('quotes the relevant part of several lines', () => {
    expect(ffmpegError(['[mov,mp4 @ 0x5] moov atom not found', 'file:/x/a.mp4: Invalid data found'])).toBe(
      'moov atom not found',
    );
    expect(ffmpegError(['file:/x/a.mp4: Invalid data found'])).toBe('a.mp4: Invalid data found');
    expect(ffmpegError([])).toBe('ffmpeg does not say why');
  });
});

describe.skipIf(!hasFfmpeg)('data prepare with ffmpeg (skipped if it is not on the PATH)', () => {
  const film = (file: string, source: string, ...flags: string[]) => {
    mkdirSync(dirname(file), { recursive: true });
    const input = ['-nostdin', '-loglevel', 'error', '-f', 'lavfi', '-i', source];
    execFileSync('ffmpeg', [...input, '-c:v', 'mpeg4', '-q:v', '3', ...flags, file]);
  };
  const frame = (out: string, video: string, number: number) =>
    join(out, 'frames', video, `${video}_${String(number).padStart(6, '0')}.jpg`);

  it('writes lists and frames that the data set reads', async () => {
    const [videos, out] = [temporaryFolder(), temporaryFolder()];
    film(join(videos, 'train/größe.mp4'), 'testsrc=d=4:s=640x480:r=25');
    film(join(videos, 'train/100%.mkv'), 'testsrc=d=3:s=322x242:r=24');
    film(join(videos, 'val/-v:0.avi'), 'testsrc=d=2:s=200x400:r=30');
    const run = await prepare(videos, out, [
      '--start',
      '1',
      '--end',
      '3',
      '--fps',
      '10',
      '--short-side',
      '120',
    ]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(
      /AVA\.FPS 10 AVA\.FIRST_SECOND 1\n.*first frame is second 1 .*any time from 1 to 1798, also with a fraction, such as 1\.5/,
    );
    const cfg = dataConfig({ 'DATA.PATH_TO_DATA_DIR': out });
    const lists = (split: 'train' | 'test') =>
      readFrameLists(cfg, split).videos.map(({ name, frames }) => [name, frames.length, frames.at(0)]);
    expect(lists('train')).toEqual([
      ['100%', 20, '100%/100%_000001.jpg'],
      ['größe', 20, 'größe/größe_000001.jpg'],
    ]);
    expect(lists('test')).toEqual([['-v:0', 10, '-v:0/-v:0_000001.jpg']]);
    const size = async (video: string) => {
      const { width, height } = await sharp(frame(out, video, 1)).metadata();
      return [width, height];
    };
    expect(await size('größe')).toEqual([160, 120]);
    expect(await size('100%')).toEqual([160, 120]);
    expect(await size('-v:0')).toEqual([120, 240]);
    const before = statSync(frame(out, 'größe', 1)).mtimeMs;
    expect(
      (await prepare(videos, out, ['--start', '1', '--end', '3', '--fps', '10', '--short-side', '120'])).code,
    ).toBe(0);
    expect(statSync(frame(out, 'größe', 1)).mtimeMs).toBe(before);
  });

  it('says the time base for any start and end, and warns of videos without a usable key frame in it', async () => {
    const videos = temporaryFolder();
    film(join(videos, 'a.mp4'), 'testsrc=d=1.5:s=64x48:r=25');
    const own = await prepare(videos, temporaryFolder(), [
      '--start',
      '0.5',
      '--end',
      '2400.5',
      '--fps',
      '10',
    ]);
    expect(own).toMatchObject({ code: 0, stderr: '' });
    expect(own.stdout).toMatch(/^a: 10 frames$/m);
    expect(own.stdout).toMatch(/AVA\.FIRST_SECOND 0\.5 AVA\.LAST_SECOND 2400\.5 /);
    expect(own.stdout).toMatch(/any time from 0\.5 to 2400\.5, also with a fraction, such as 1\.5\./);
    const films = temporaryFolder();
    film(join(films, 'a.mp4'), 'testsrc=d=900.6:s=64x48:r=1');
    const ava = await prepare(films, temporaryFolder(), ['--fps', '2']);
    expect(ava.stdout).not.toContain('AVA.FIRST_SECOND ');
    expect(ava.stdout).toMatch(
      /warning: 1 video has no usable key frame \(first: .*a\.mp4, whose last frame is second 90[01](?:\.5)?\):.* begin at 902/,
    );
  });

  it('keeps the time: frame n shows second n / fps, also if images start late or come irregularly', async () => {
    const [videos, out] = [temporaryFolder(), temporaryFolder()];
    // The grey level is 20 · time. Sound begins at 0, images half a second later and at uneven times.
    const grey = "color=black:d=6:s=64x64:r=50,geq=lum='20*T+16':cb=128:cr=128";
    const inputs = ['-f', 'lavfi', '-i', grey, '-f', 'lavfi', '-i', 'sine=d=6'];
    const codecs = [
      '-vf',
      "select='gte(t,0.5)*not(mod(n*n,7))'",
      '-vsync',
      'vfr',
      '-c:v',
      'mpeg4',
      '-q:v',
      '2',
    ];
    execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', ...inputs, ...codecs, join(videos, 'a.mkv')]);
    expect((await prepare(videos, out, ['--start', '0', '--fps', '10'])).code).toBe(0);
    for (const second of [2, 3, 4, 5]) {
      const { data } = await sharp(frame(out, 'a', second * 10 + 1))
        .raw()
        .toBuffer({ resolveWithObject: true });
      // Full range: 255 / 219 of the limited one. Images are at most 0.12 s apart.
      expect(Math.abs(data[0] / (20 * (255 / 219)) - second)).toBeLessThan(0.3);
    }
  });

  it('does not enlarge images, and rotates them as the file requires', async () => {
    const [videos, out] = [temporaryFolder(), temporaryFolder()];
    film(join(videos, 'small.mp4'), 'testsrc=d=1:s=162x122:r=10');
    const flat = join(temporaryFolder(), 'flat.mp4');
    film(flat, 'testsrc=d=1:s=160x120:r=10');
    execFileSync('ffmpeg', [
      '-nostdin',
      '-loglevel',
      'error',
      '-i',
      flat,
      '-c',
      'copy',
      '-metadata:s:v',
      'rotate=90',
      join(videos, 'turned.mp4'),
    ]);
    expect((await prepare(videos, out, ['--start', '0', '--fps', '5'])).code).toBe(0);
    expect(await sharp(frame(out, 'small', 1)).metadata()).toMatchObject({ width: 162, height: 122 });
    const { width, height } = await sharp(frame(out, 'turned', 1)).metadata();
    // Newer versions of ffmpeg no longer write a rotation this way.
    expect([`120×160`, `160×120`]).toContain(`${width}×${height}`);
  });

  it('continues after a broken video and one without images', async () => {
    const [videos, out] = [temporaryFolder(), temporaryFolder()];
    film(join(videos, 'good.mp4'), 'testsrc=d=1:s=64x64:r=10');
    writeFileSync(join(videos, 'cut.mp4'), readFileSync(join(videos, 'good.mp4')).subarray(0, 2000));
    execFileSync('ffmpeg', [
      '-nostdin',
      '-loglevel',
      'error',
      '-f',
      'lavfi',
      '-i',
      'sine=d=1',
      join(videos, 'sound.mp4'),
    ]);
    const run = await prepare(videos, out, ['--start', '0', '--fps', '10']);
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(/cut\.mp4: moov atom not found\n/);
    expect(run.stderr).toMatch(/sound\.mp4: it has no images/);
    expect(run.stdout).toMatch(/^good: 10 frames$/m);
  });
});
