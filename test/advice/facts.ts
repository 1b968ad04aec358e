/** @file Parts of messages that name something to type but propose nothing. */
export const FACTS: readonly string[] = [
  'MODEL.WEIGHT is what it started from',
  'evaluations run every SOLVER.EVAL_PERIOD epochs',
  'and what follows is left out. Annotations reach',
];
