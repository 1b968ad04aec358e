/** @file Attributes of COCO's annotations: those in `attributes`, and fields that COCO does not define. */
import { defineAttribute, type Imported } from '../model.js';
import { numberOrNone, objectOr, textOrNull } from '../read_file.js';

/** Fields of COCO and of programs that write it, which say nothing about actions. */
const KNOWN = new Set(
  (
    'id image_id video_id category_id category_name bbox bboxes bbox_mode area areas segmentation segmentations iscrowd ' +
    'ignore track_id instance_id person_id object_id tracking_id score confidence conf keypoints num_keypoints attributes ' +
    'occluded truncated rotation keyframe outside visibility caption length width height is_vid_train_frame isfake ' +
    'iscrowds frame_id mot_instance_id mot_class_id mot_conf official_id z_order source group_id'
  ).split(' '),
);

export class CocoAttributes {
  constructor(private readonly imported: Imported) {}

  /** The attributes of an annotation, and the degrees by which its box is turned. */
  read(
    annotation: Record<string, unknown>,
    where: string,
  ): { attributes: Map<string, string[]>; turn: number } {
    const extra = objectOr(annotation.attributes);
    if (extra.occluded === true || annotation.occluded === true)
      this.imported.losses.add('kept', where, 'occluded box', 'occluded boxes');
    const turn = (numberOrNone(extra.rotation) ?? 0) % 360;
    if (turn !== 0) this.imported.losses.add('boxed', where, 'rotated box', 'rotated boxes');
    const attributes = new Map<string, string[]>();
    for (const [name, value] of [...Object.entries(annotation), ...Object.entries(extra)]) {
      if (KNOWN.has(name) || value === null) continue;
      const values = this.#valuesOf(name, value, where);
      if (values) attributes.set(name, values);
    }
    return { attributes, turn };
  }

  /** A flag, a text, a list of texts, or flags by name; null for anything else. */
  #valuesOf(name: string, value: unknown, where: string): string[] | null {
    const text = typeof value === 'boolean' ? String(value) : textOrNull(value);
    const flags = Object.entries(objectOr(value));
    const isList = Array.isArray(value) && value.every((item) => textOrNull(item) !== null);
    if (text === null && !isList && !(flags.length > 0 && flags.every(([, on]) => typeof on === 'boolean'))) {
      if (value !== '')
        this.imported.losses.add(
          'left',
          `${where}: ${name}`,
          'attribute of unknown kind',
          'attributes of unknown kind',
        );
      return null;
    }
    const kind = typeof value === 'boolean' ? 'flag' : text === null ? 'choice' : 'text';
    const values =
      text !== null
        ? [text]
        : isList
          ? value.map(String)
          : flags.filter(([, on]) => on).map(([option]) => option);
    defineAttribute(this.imported, name, kind, kind === 'choice' ? values : []);
    return values;
  }
}
