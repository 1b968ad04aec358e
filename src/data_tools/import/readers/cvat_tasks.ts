/** @file The tasks in CVAT's <meta>: their videos, and the attributes of their labels. */
import { stemOf, videoNameOf } from '../image_names.js';
import { type AttributeKind, defineAttribute, type Imported, type ImportedVideo } from '../model.js';
import { childOf, childrenOf, childText, type XmlElement } from './xml.js';

const KINDS: Record<string, AttributeKind> = { select: 'choice', radio: 'choice', checkbox: 'flag' };

export class CvatTasks {
  /** Id of a task → its element. */
  readonly #tasks = new Map<string, XmlElement>();
  readonly #videos = new Map<string, ImportedVideo>();
  readonly #kinds = new Map<string, AttributeKind>();

  constructor(
    private readonly path: string,
    private readonly imported: Imported,
  ) {}

  /** Whether the file has CVAT's <meta>. */
  get isKnown(): boolean {
    return this.#tasks.size > 0;
  }

  /** The place of an element, for messages. */
  at({ line }: XmlElement): string {
    return `${this.path}:${line}`;
  }

  /** Reads <meta> of a task, a job or a project. */
  read(meta: XmlElement): void {
    const project = childOf(meta, 'project');
    const single = childOf(meta, 'task') ?? childOf(meta, 'job');
    const tasks = project ? childrenOf(childOf(project, 'tasks'), 'task') : single ? [single] : [];
    for (const task of tasks) {
      this.#tasks.set(childText(task, 'id') ?? '', {
        ...task,
        // Some versions put the name of the video and its size beside the task.
        children: [
          ...task.children,
          ...meta.children.filter(({ name }) => name === 'source' || name === 'original_size'),
        ],
      });
    }
    for (const owner of [project, ...tasks])
      for (const label of childrenOf(childOf(owner, 'labels'), 'label')) this.#readLabel(label);
  }

  #readLabel(label: XmlElement): void {
    const name = childText(label, 'name');
    if (name) this.imported.labels.add(name);
    for (const attribute of childrenOf(childOf(label, 'attributes'), 'attribute')) {
      // Version 1.0 writes @select=name:value,value, and ~ for values that change.
      const old = /^[@~](\w+)=([^:]+):(.*)$/s.exec(attribute.text.trim());
      const type = old?.[1] ?? childText(attribute, 'input_type') ?? 'text';
      const title = old?.[2] ?? childText(attribute, 'name');
      const values = old ? old[3].split(',') : (childText(attribute, 'values') ?? '').split('\n');
      if (!title) continue;
      const kind = KINDS[type] ?? 'text';
      this.#kinds.set(title, kind);
      defineAttribute(
        this.imported,
        title,
        kind,
        kind === 'choice' ? values.map((value) => value.trim()) : [],
      );
    }
  }

  /** Whether the task is annotated in a video, whose frames have the numbers of the video. */
  isVideoTask(id: string | undefined): boolean {
    return childText(this.#task(id), 'mode') === 'interpolation';
  }

  #task(id: string | undefined): XmlElement | undefined {
    return this.#tasks.get(id ?? '') ?? [...this.#tasks.values()][0];
  }

  /** The video of a task. `image` is one of its images, if the boxes are in images. */
  videoOf(id: string | undefined, image: string | null = null): ImportedVideo {
    const task = this.#task(id);
    const key = childText(task, 'id') ?? '';
    const known = this.#videos.get(key);
    if (known) return known;
    const source = childText(task, 'source') ?? childText(task, 'name') ?? stemOf(this.path);
    const size = childOf(task, 'original_size');
    const [width, height] = [Number(childText(size, 'width')), Number(childText(size, 'height'))];
    const stop = Number(childText(task, 'stop_frame') ?? Number.NaN);
    const isVideo = image === null || this.isVideoTask(id);
    const video: ImportedVideo = {
      name: videoNameOf(stemOf(source)),
      isNamed: task !== undefined,
      source,
      isVideo,
      clock: 'frames',
      units: 'pixels',
      size: width > 0 && height > 0 ? { width, height } : null,
      fps: null,
      firstFrame: isVideo ? 0 : 1,
      isFirstSure: isVideo,
      lastFrame: Number.isFinite(stop) ? stop : null,
      image: isVideo ? null : image,
    };
    this.#videos.set(key, video);
    return video;
  }

  videos(): Iterable<ImportedVideo> {
    return this.#videos.values();
  }

  /** The attributes of a shape. Those that <meta> does not define are defined here. */
  attributesOf(shape: XmlElement): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const element of childrenOf(shape, 'attribute')) {
      const name = element.attributes.name ?? '';
      const value = element.text.trim();
      if (!this.#kinds.has(name)) {
        const kind = /^(true|false)$/i.test(value) ? 'flag' : 'text';
        this.#kinds.set(name, kind);
        defineAttribute(this.imported, name, kind);
      }
      found.set(name, value === '' ? [] : [value]);
    }
    return found;
  }
}
