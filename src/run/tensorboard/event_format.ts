/**
 * @file The part of TensorBoard's events (event.proto, summary.proto) that we write, with protobufjs. Scalars, images and
 * histograms use the older fields, which every reader knows and TensorBoard converts to tensors.
 */
import protobuf from 'protobufjs';

const { root } = protobuf.parse(
  `syntax = "proto3";
  message Event {
    double wall_time = 1; int64 step = 2;
    oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
  }
  message SessionLog { int32 status = 1; }
  message Summary { repeated Value value = 1; }
  message Value {
    string tag = 1; Metadata metadata = 9;
    oneof value { float simple_value = 2; Image image = 4; Histogram histo = 5; Tensor tensor = 8; }
  }
  message Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
  message Histogram {
    double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
    repeated double bucket_limit = 6; repeated double bucket = 7;
  }
  message Metadata { PluginData plugin_data = 1; int32 data_class = 4; }
  message PluginData { string plugin_name = 1; }
  message Tensor { int32 dtype = 1; Shape tensor_shape = 2; repeated bytes string_val = 8; }
  message Shape { repeated Dimension dim = 2; }
  message Dimension { int64 size = 1; }`,
  { keepCase: true },
);
export const EventMessage = root.lookupType('Event');

/** The version in the first record of a file. With it, readers drop steps only if a session log says so. */
export const FILE_VERSION = 'brain.Event:2';

/** TensorFlow's numbers: SessionLog.START, DataClass.TENSOR, DataType.DT_STRING, and three colour channels. */
const START = 1;
const CLASS_TENSOR = 2;
const TYPE_STRING = 7;
const RGB = 3;

export interface HistogramValue {
  min: number;
  max: number;
  num: number;
  sum: number;
  sum_squares: number;
  /** Upper limits of the buckets, exclusive, and the counts. */
  bucket_limit: number[];
  bucket: number[];
}

/** One value under a tag. */
export type SummaryValue = Readonly<{ tag: string }> &
  (
    | { simple_value: number }
    | { image: { height: number; width: number; colorspace: number; encoded_image_string: Uint8Array } }
    | { histo: HistogramValue }
    | { metadata: object; tensor: object }
  );

export type EventContent =
  | { file_version: string }
  | { session_log: { status: number } }
  | { summary: { value: readonly SummaryValue[] } };

export type Event = Readonly<{ wall_time: number; step: number }> & EventContent;

/** The start of a session. From its step on, earlier files of the folder no longer count. */
export const SESSION_START = { session_log: { status: START } };

/** A PNG image and its size. */
export interface EventImage {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export function imageValue(tag: string, { png, width, height }: EventImage): SummaryValue {
  return { tag, image: { height, width, colorspace: RGB, encoded_image_string: png } };
}

/** Markdown, for the text dashboard. */
export function textValue(tag: string, markdown: string): SummaryValue {
  return {
    tag,
    metadata: { plugin_data: { plugin_name: 'text' }, data_class: CLASS_TENSOR },
    tensor: {
      dtype: TYPE_STRING,
      tensor_shape: { dim: [{ size: 1 }] },
      string_val: [Buffer.from(markdown)],
    },
  };
}

export function encodeEvent(event: Event): Uint8Array {
  return EventMessage.encode(event).finish();
}
