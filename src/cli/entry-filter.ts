import type { ListEntriesRequest_Filter } from '../gen/spire/api/server/entry/v1/entry.ts';
import { parseApiId } from './api-ids.ts';
import { optionalToggle, text, texts } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';
import { federatesWithMatch, matchFlag, selectorMatch } from './match-flags.ts';

/** The flags that choose entries. Source: inventory S007, S008. */
export const entryFilterFlags = {
  parentID: text('Only entries with this parent', 'ID'),
  spiffeID: text('Only entries that give this SPIFFE ID', 'ID'),
  downstream: optionalToggle('Only entries for downstream servers; with =false, only others'),
  selector: texts('Only entries with this selector', 'TYPE:VALUE'),
  federatesWith: texts('Only entries that federate with this trust domain', 'TRUSTDOMAIN'),
  matchFederatesWithOn: matchFlag('trust domains'),
  matchSelectorsOn: matchFlag('selectors'),
  hint: text('Only entries with this hint', 'TEXT'),
};

/** @throws SpiffeError naming the flag that is wrong */
export function entryFilterOf(values: FlagValues<typeof entryFilterFlags>): ListEntriesRequest_Filter {
  return {
    bySpiffeId: values.spiffeID === '' ? undefined : parseApiId(values.spiffeID, '-spiffeID'),
    byParentId: values.parentID === '' ? undefined : parseApiId(values.parentID, '-parentID'),
    bySelectors: selectorMatch(values.selector, values.matchSelectorsOn),
    byFederatesWith: federatesWithMatch(values.federatesWith, values.matchFederatesWithOn),
    byHint: values.hint === '' ? undefined : values.hint,
    byDownstream: values.downstream,
  };
}
