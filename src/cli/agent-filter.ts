import type { ListAgentsRequest_Filter } from '../gen/spire/api/server/agent/v1/agent.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { text, texts, trueOrFalse } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';
import { matchFlag, selectorMatch } from './match-flags.ts';

/** The flags that choose agents. Source: inventory S010, S012. */
export const agentFilterFlags = {
  selector: texts('Only agents with this selector', 'TYPE:VALUE'),
  matchSelectorsOn: matchFlag('selectors'),
  attestationType: text('Only agents that attested this way, such as tpm or join_token', 'TYPE'),
  canReattest: trueOrFalse('Only agents that can attest again, or that cannot'),
  banned: trueOrFalse('Only agents that are banned, or that are not'),
  expiresBefore: text('Only agents whose SVID ends before, such as "2026-01-02 15:04:05 -0700 -07"', 'TIME'),
};

const TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} [+-]\d{4} [+-]\d{2}(\d{2})?$/;

/** @throws SpiffeError naming the flag that is wrong */
export function agentFilterOf(values: FlagValues<typeof agentFilterFlags>): ListAgentsRequest_Filter {
  const { expiresBefore } = values;
  if (expiresBefore !== '' && !TIME.test(expiresBefore)) {
    const message = `-expiresBefore: ${JSON.stringify(expiresBefore)} is no time: write it as "2026-01-02 15:04:05 -0700 -07"`;
    throw new SpiffeError('ARGUMENT_INVALID', message);
  }
  return {
    byAttestationType: values.attestationType,
    bySelectorMatch: selectorMatch(values.selector, values.matchSelectorsOn),
    byBanned: values.banned,
    byCanReattest: values.canReattest,
    byExpiresBefore: expiresBefore,
  };
}
