import type { Selector } from '../../spiffe/selector.ts';

/** Of the attestor `docker`; attestors of others that speak of variables write them alike. */
const VARIABLE = /^(env:[^=]*=)./s;

/** A selector as it may be shown: of a variable, whose value may be a password, the name. */
export function withoutSecrets(selector: Selector): Selector {
  const [, name] = VARIABLE.exec(selector.value) ?? [];
  return name === undefined ? selector : { type: selector.type, value: `${name}…` };
}
