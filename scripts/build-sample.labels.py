#!/usr/bin/env python3
"""Helps to label the sample: proposes boxes, and draws the labels for a look at every key frame.

Needs OpenCV; on Debian: apt-get install -y --no-install-recommends python3-opencv

  scripts/build-sample.labels.py propose train     prints boxes (x1,y1,x2,y2 in 0-1) for each key frame
  scripts/build-sample.labels.py draw train OUT    writes contact sheets of 2x2 key frames to folder OUT

A proposal is what differs from the median of all frames: two people who touch get one box, moving tape gets one too,
and whoever stands behind the sign is cut in two. The annotations are proposals corrected by hand, so this script
never writes them.
"""

import csv
import pathlib
import sys

import cv2
import numpy as np

SAMPLE = pathlib.Path(__file__).resolve().parent.parent / 'sample'
FPS = 10
DIFFERENCE = 50  # of 255, in the colour channel that differs most; catches jeans on asphalt, not soft shadows
MIN_AREA, MIN_HEIGHT = 60, 20  # pixels; smaller spots are leaves and tape
SCALE = 2


def key_frames(name):
    """Labels by second: {second: {(box, person): [action, ...]}}, in file order."""
    seconds = {}
    with open(SAMPLE / 'annotations' / f'{name}.csv', newline='') as file:
        for _video, second, x1, y1, x2, y2, action, person in csv.reader(file):
            box = tuple(float(v) for v in (x1, y1, x2, y2))
            seconds.setdefault(int(second), {}).setdefault((box, person), []).append(action)
    return seconds


def frame_path(name, second):
    index = (second - 900) * FPS
    return SAMPLE / 'frames' / f'vtest_{name}' / f'vtest_{name}_{index + 1:06d}.jpg'


def propose(name):
    every = sorted((SAMPLE / 'frames').glob('*/*.jpg'))
    background = np.median([cv2.imread(str(p)) for p in every[::5]], axis=0).astype(np.uint8)
    for second in key_frames(name):
        frame = cv2.imread(str(frame_path(name, second)))
        height, width = frame.shape[:2]
        mask = (cv2.absdiff(frame, background).max(axis=2) > DIFFERENCE).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 3)))
        for x, y, w, h, area in cv2.connectedComponentsWithStats(mask)[2][1:]:
            if area >= MIN_AREA and h >= MIN_HEIGHT:
                box = (x / width, y / height, (x + w) / width, (y + h) / height)
                print(f'vtest_{name},{second:04d},' + ','.join(f'{v:.3f}' for v in box))


def draw(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tiles = []
    for second, people in key_frames(name).items():
        tile = cv2.resize(cv2.imread(str(frame_path(name, second))), None, fx=SCALE, fy=SCALE)
        height, width = tile.shape[:2]
        for (box, person), actions in people.items():
            x1, y1, x2, y2 = (round(v * s) for v, s in zip(box, (width, height) * 2))
            hue = np.uint8([[[int(person) * 47 % 180, 255, 255]]])
            colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
            cv2.rectangle(tile, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
            at = (min(x1, width - 70), y1 - 4 if y1 > 15 else y2 + 13)
            cv2.putText(tile, f'{person}:' + '+'.join(actions), at, 0, 0.45, colour, 1, cv2.LINE_AA)
        cv2.putText(tile, f'{name} {second:04d}', (width - 140, height - 10), 0, 0.6, (255, 255, 255), 2)
        tiles.append(tile)
    for start in range(0, len(tiles), 4):
        four = tiles[start : start + 4]
        four += [np.zeros_like(tiles[0])] * (4 - len(four))
        sheet = np.vstack([np.hstack(four[:2]), np.hstack(four[2:])])
        cv2.imwrite(str(folder / f'{name}_{start // 4:02d}.png'), sheet)


if __name__ == '__main__':
    if len(sys.argv) == 3 and sys.argv[1] == 'propose':
        propose(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == 'draw':
        draw(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
