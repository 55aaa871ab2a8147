import { createHash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE } from '../event-log/event-types.ts';
import type { JudgedEvent } from '../event-log/judge-events.ts';
import { isText } from '../event-log/secure-boot.ts';
import type { LoaderFacts } from './boot-facts.ts';
import { isSeparator, type MeasuredEvents } from './measured-events.ts';

export const LOADER_PCR = 4;

/** What firmware says of the boot options that it tries: these digests are of no image, whatever the log calls them. */
const ACTIONS = [
  'Calling EFI Application from Boot Option',
  'Returning from EFI Application from Boot Option',
  'Entering ROM Based Setup',
  'BOOT ATTEMPTS OMITTED',
];

/**
 * Every image that ran before the operating system. Whatever of PCR 4 is neither a separator nor the text of an action is taken
 * for an image, whatever it is called: so none can be overlooked. Where it stands does not matter, as OVMF starts a kernel
 * before it says that it calls an application.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, D33)
 */
export function readLoaderFacts(events: MeasuredEvents): LoaderFacts {
  const actions = new Set(ACTIONS.map((text) => createHash(events.bank).update(text).digest('hex')));
  const images = events
    .of(LOADER_PCR)
    .filter((judged) => !isSeparator(judged) && !isAction(judged) && !actions.has(events.digestOf(judged.event)));
  requireCheck('D33', images.length > 0, 'PCR 4 has no image that was started');
  return { images: images.map(({ event }) => events.toDigest(event)) };
}

/** An image whose bytes are given as the text of an action has its digest as well, but no image is printable. */
function isAction({ event: { type, data }, isAuthenticated }: JudgedEvent): boolean {
  return type === EVENT_TYPE.EV_EFI_ACTION && isAuthenticated && isText(data);
}
