import type { Subject } from './subject.ts';

/** What has to work before a rule can be looked at, in the order in which a host comes to it. */
export const STAGES = ['alone', 'process', 'connection', 'services', 'configured'] as const;
export type Stage = (typeof STAGES)[number];

/** One sentence of the wire contract that can be tried. */
export interface Rule {
  /** `<part>.<what>`, such as `key-manager.overwrite`. */
  readonly id: string;
  /** Completes "the plugin …". */
  readonly title: string;
  /** Section of plugin-wire. */
  readonly source: string;
  /** A `should` that is not kept is a warning. */
  readonly level: 'must' | 'should';
  readonly needs: Stage;
  /** That it fails closes this stage, and all that come later, to further rules. */
  readonly opens?: Stage;
  readonly deadlineMs?: number;
  /**
   * Returns where the rule is kept, perhaps with something to add.
   *
   * @throws Mismatch, Doubt, NotApplicable; anything else is a failure too
   */
  check(subject: Subject): Promise<string | undefined>;
}

/** The rule is broken. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';

  constructor(expected: string, came: string, options?: ErrorOptions) {
    super(`expected ${expected}, came ${came}`, options);
  }
}

/** A host takes it nevertheless, or the contract leaves it open: a warning. */
export class Doubt extends Error {
  override readonly name = 'Doubt';
}

/** The plugin has no such part, or the kit was not given what it needs. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** @throws Mismatch */
export function requireThat(condition: boolean, expected: string, came: string): asserts condition {
  if (!condition) throw new Mismatch(expected, came);
}
