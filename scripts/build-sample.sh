#!/usr/bin/env bash
# Rebuilds sample/frames and sample/frame_lists from the clip vtest.avi that comes with OpenCV.
# The annotations are not rebuilt: they were corrected by hand and are source files.
#
# Needs ffmpeg and the clip. On a fresh Debian machine:
#   apt-get update && apt-get install -y --no-install-recommends ffmpeg opencv-doc
# Usage: scripts/build-sample.sh [path of vtest.avi]
set -euo pipefail

SAMPLE_DIR="$(cd "$(dirname "$0")/.." && pwd)/sample"
DEBIAN_CLIP=/usr/share/doc/opencv-doc/examples/data/vtest.avi
CLIP="${1:-$DEBIAN_CLIP}"
CLIP_SHA256=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf

# The labels fit this crop of the 768x576 picture only: 416x312 at (352, 104), shrunk to 320x240.
CROP=crop=416:312:352:104,scale=320:240:flags=lanczos
JPEG_QUALITY=5 # ffmpeg's scale: 2 is best, 31 worst

fail() {
  echo "build-sample: $1" >&2
  exit 1
}

command -v ffmpeg >/dev/null || fail 'ffmpeg is missing; on Debian: apt-get install -y ffmpeg'
if [ ! -f "$CLIP" ] && [ -f "$CLIP.gz" ]; then
  WORK="$(mktemp -d)"
  trap 'rm -rf "$WORK"' EXIT
  gunzip -c "$CLIP.gz" >"$WORK/vtest.avi"
  CLIP="$WORK/vtest.avi"
fi
[ -f "$CLIP" ] || fail "no clip at $CLIP; on Debian: apt-get install -y --no-install-recommends opencv-doc"
echo "$CLIP_SHA256  $CLIP" | sha256sum --check --status ||
  fail "$CLIP is another clip than the one that was labelled (its SHA-256 is not $CLIP_SHA256)"

# cut LIST FIRST COUNT: frames FIRST … FIRST+COUNT-1 of the clip (10 per second, counted from 0) become
# frames/vtest_LIST and frame_lists/LIST.csv.
cut() {
  local list=$1 first=$2 count=$3
  local video="vtest_$list"
  local frames="$SAMPLE_DIR/frames/$video"
  rm -rf "$frames"
  mkdir -p "$frames" "$SAMPLE_DIR/frame_lists"
  ffmpeg -nostdin -loglevel error -i "$CLIP" \
    -vf "select='between(n,$first,$((first + count - 1)))',setpts=N/10/TB,$CROP" \
    -q:v "$JPEG_QUALITY" "$frames/${video}_%06d.jpg"
  local made
  made=$(find "$frames" -name '*.jpg' | wc -l)
  [ "$made" -eq "$count" ] || fail "$video: $count frames expected, ffmpeg wrote $made"
  {
    echo 'original_vido_id video_id frame_id path labels'
    for ((i = 0; i < count; i++)); do
      printf '%s 0 %d %s/%s_%06d.jpg ""\n' "$video" "$i" "$video" "$video" $((i + 1))
    done
  } >"$SAMPLE_DIR/frame_lists/$list.csv"
  echo "$video: $count frames"
}

cut train 10 330
cut val 510 130
