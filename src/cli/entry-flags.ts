import { Entry } from '../gen/spire/api/types/types.ts';
import { parseSelector } from '../spiffe/selector.ts';
import { parseApiId } from './api-ids.ts';
import { text, texts, toggle, wholeNumber } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';

/** The fields of an entry that both `entry create` and `entry update` set. */
export const entryFlags = {
  parentID: text('SPIFFE ID of the agent or node that may have this entry', 'ID'),
  spiffeID: text('SPIFFE ID that the entry gives', 'ID'),
  x509SVIDTTL: wholeNumber('Life of X509-SVIDs; 0 for the default of the server', 'SECONDS'),
  jwtSVIDTTL: wholeNumber('Life of JWT-SVIDs; 0 for the default of the server', 'SECONDS'),
  data: text('File with entries in JSON, or - for standard input; other flags do not count then', 'PATH'),
  selector: texts('A property that the workload must have', 'TYPE:VALUE'),
  federatesWith: texts('A trust domain whose bundle the workload gets too', 'TRUSTDOMAIN'),
  admin: toggle("Let the identity use the server's admin API"),
  storeSVID: toggle('Store the SVID with an SVIDStore plugin'),
  downstream: toggle('Let the identity ask for an intermediate CA'),
  entryExpiry: wholeNumber('When the entry ends, in Unix seconds; 0 for never', 'TIME', 0, Number.MAX_SAFE_INTEGER),
  dns: texts('A DNS name for the X509-SVID', 'NAME'),
  hint: text('Tells identities of one workload apart', 'TEXT'),
};

/** @throws SpiffeError naming the flag that is wrong */
export function entryOf(values: FlagValues<typeof entryFlags>, id: string): Entry {
  return Entry.create({
    id,
    spiffeId: parseApiId(values.spiffeID, '-spiffeID'),
    parentId: parseApiId(values.parentID, '-parentID'),
    selectors: values.selector.map(parseSelector),
    x509SvidTtl: values.x509SVIDTTL,
    jwtSvidTtl: values.jwtSVIDTTL,
    federatesWith: [...values.federatesWith],
    admin: values.admin,
    storeSvid: values.storeSVID,
    downstream: values.downstream,
    expiresAt: BigInt(values.entryExpiry),
    dnsNames: [...values.dns],
    hint: values.hint,
  });
}
