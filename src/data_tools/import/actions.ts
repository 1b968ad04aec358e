/** @file Where a file has the actions of the boxes: in their labels or in attributes. */
import { ConfigError, DataError } from '../../errors.js';
import { countOf, firstNames } from '../../util/text.js';
import type { AttributeKind, Attributes, Imported } from './model.js';

export interface ActionOptions {
  /** `label`, or names of attributes separated by commas. */
  readonly actionsFrom?: string;
  /** Labels of the boxes that are people. */
  readonly people?: readonly string[];
}

/** How the actions of a box are found. */
export interface ActionRule {
  /** For the user: where the actions are. */
  readonly description: string;
  /** All actions that the file defines or uses, in its order. */
  readonly names: readonly string[];
  /** Whether a box with these labels is a person. */
  isPerson(labels: readonly string[]): boolean;
  actionsOf(labels: readonly string[], attributes: Attributes): string[];
}

const PERSON =
  /^(persons?|people|humans?|man|men|woman|women|child|children|kid|boy|girl|adult|pedestrian|passenger|player|athlete|worker|driver|subject|actor|人|行人|人物)$/i;
const ACTION = /action|activit|behavio|pose|posture|gesture|verb|interaction|movement|doing|动作|行为/i;
/** Attributes that hold the number of a person. */
const PERSON_ID = /^((person|people|track|actor|object|player|instance|subject)[\s_-]*)?(id|no|nr|number)$/i;
const NO_ACTION = /^(|-|none|no[\s_-]action|n\/a|__undefined__|undefined|null)$/i;

export function isPersonId(attribute: string): boolean {
  return PERSON_ID.test(attribute);
}

/**
 * Finds where the actions are. Throws ConfigError if the options name something that the file does not have, and DataError if the
 * file leaves the choice open or has no actions.
 */
export function chooseActions(imported: Imported, options: ActionOptions): ActionRule {
  const labels = [...imported.labels];
  const people = options.people ?? labels.filter((label) => PERSON.test(label));
  for (const label of options.people ?? [])
    if (!imported.labels.has(label))
      throw new ConfigError(
        `--people: no box has the label ${label}; the labels are ${labels.join(', ') || 'none'}`,
      );
  const attributes = usedAttributes(imported);
  const names =
    options.actionsFrom === undefined
      ? guess(labels, people, attributes)
      : named(options.actionsFrom, attributes);
  return names === 'label' ? ruleOfLabels(labels, people) : ruleOfAttributes(imported, names, people);
}

type Used = Map<string, { kind: AttributeKind; boxes: number }>;

/** The attributes that boxes have; if boxes have none, those of stretches of time. */
function usedAttributes({ tracks, segments, attributes }: Imported): Used {
  const used: Used = new Map();
  const note = (values: Attributes) => {
    for (const [name, list] of values) {
      const kind = attributes.get(name)?.kind ?? 'text';
      const entry = used.get(name) ?? { kind, boxes: 0 };
      used.set(name, entry);
      if (list.length > 0) entry.boxes++;
    }
  };
  for (const { keys } of tracks) for (const key of keys) note(key.attributes);
  if (used.size === 0) for (const segment of segments) note(segment.attributes);
  return used;
}

function named(where: string, attributes: Used): 'label' | string[] {
  if (where === 'label' && !attributes.has('label')) return 'label';
  const names = where.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !attributes.has(name));
  if (unknown === undefined) return names;
  throw new ConfigError(
    `--actions-from: no box has the attribute ${unknown}; expected label${[...attributes.keys()].map((name) => `, ${name}`).join('')}`,
  );
}

function guess(labels: readonly string[], people: readonly string[], attributes: Used): 'label' | string[] {
  const usable = [...attributes].filter(([name]) => !isPersonId(name));
  const called = usable.filter(([name]) => ACTION.test(name)).map(([name]) => name);
  if (called.length > 0) return called;
  const hasOnlyPeople = labels.length === people.length;
  if (usable.length === 0 && !hasOnlyPeople) return 'label';
  const flags = usable.filter(([, { kind }]) => kind === 'flag').map(([name]) => name);
  const others = usable.filter(([, { kind }]) => kind !== 'flag').map(([name]) => name);
  if (hasOnlyPeople || people.length > 0) {
    if (others.length === 1 && flags.length === 0) return others;
    if (others.length === 0 && flags.length > 0) return flags;
  }
  if (usable.length === 0) {
    throw new DataError(
      `the boxes have no actions: ${labels.length === 0 ? 'they have neither labels nor attributes' : `they have only the label ${labels.join(', ')}`}; ` +
        'give each box an action in the annotation program, as a label or as an attribute',
    );
  }
  const choices = [
    ...(labels.length > 0 ? [`label (${firstNames(labels)})`] : []),
    ...usable.map(([name]) => name),
  ];
  throw new DataError(
    `it is not clear where the actions are: add --actions-from with one of ${choices.join(', ')}, or with several attributes separated by commas`,
  );
}

function ruleOfLabels(labels: readonly string[], people: readonly string[]): ActionRule {
  const names = labels.filter((label) => !people.includes(label));
  return {
    description: `the actions are the labels of the boxes${people.length > 0 ? `; boxes with the label ${people.join(', ')} have no action` : ''}`,
    names,
    isPerson: () => true,
    actionsOf: (own) => own.filter((label) => names.includes(label)),
  };
}

function ruleOfAttributes(
  imported: Imported,
  names: readonly string[],
  people: readonly string[],
): ActionRule {
  const kindOf = (name: string) => imported.attributes.get(name)?.kind ?? 'text';
  const actionsOf = (attributes: Attributes) =>
    names.flatMap((name) =>
      (attributes.get(name) ?? []).flatMap((value) => actionsIn(name, kindOf(name), value)),
    );
  const found = new Set<string>();
  for (const name of names) {
    if (kindOf(name) === 'flag') found.add(name);
    for (const value of imported.attributes.get(name)?.values ?? [])
      for (const action of actionsIn(name, kindOf(name), value)) found.add(action);
  }
  for (const { keys } of imported.tracks)
    for (const { attributes } of keys) for (const action of actionsOf(attributes)) found.add(action);
  for (const { attributes } of imported.segments)
    for (const action of actionsOf(attributes)) found.add(action);
  const which = names.length === 1 ? `attribute ${names[0]}` : `attributes ${names.join(', ')}`;
  const whose = people.length > 0 ? ` of boxes with the label ${people.join(', ')}` : '';
  return {
    description: `the actions are in the ${which}${whose} (${countOf(found.size, 'action')})`,
    names: [...found],
    isPerson: (own) => people.length === 0 || own.some((label) => people.includes(label)),
    actionsOf: (_, attributes) => [...new Set(actionsOf(attributes))],
  };
}

/** The actions in a value of an attribute. A free text may name several, a flag is one. */
function actionsIn(name: string, kind: AttributeKind, value: string): string[] {
  if (kind === 'flag') return /^(true|1|yes)$/i.test(value.trim()) ? [name] : [];
  const parts = kind === 'text' ? value.split(/[,;|]/) : [value];
  return parts.map((part) => part.trim()).filter((part) => !NO_ACTION.test(part));
}
