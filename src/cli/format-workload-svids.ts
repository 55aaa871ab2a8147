import type { WorkloadSvid } from '../spiffe/workload-svid.ts';
import type { Certificate } from '../x509/certificate.ts';
import { formatTime } from './output.ts';

/** The SVIDs as SPIRE's command line shows them. */
export function formatWorkloadSvids(svids: readonly WorkloadSvid[], elapsedMs: number): string {
  const count = svids.length === 1 ? '1 svid' : `${svids.length} svids`;
  return `Received ${count} after ${elapsedMs.toFixed(3)}ms\n${svids.map((svid) => `\n${formatSvid(svid)}`).join('')}\n`;
}

function formatSvid({ spiffeId, hint, chain, bundle, federatedBundles }: WorkloadSvid): string {
  const [leaf, ...intermediates] = chain;
  const lines = [
    `SPIFFE ID:\t\t${spiffeId}`,
    ...(hint === '' ? [] : [`Hint:\t\t\t${hint}`]),
    ...(leaf === undefined ? [] : validity('SVID', leaf)),
    ...intermediates.flatMap((certificate, index) => validity(`Intermediate #${index + 1}`, certificate)),
    ...bundle.flatMap((certificate, index) => validity(`CA #${index + 1}`, certificate)),
    ...[...federatedBundles].flatMap(([trustDomain, certificates]) =>
      certificates.flatMap((certificate, index) => validity(`[${trustDomain}] CA #${index + 1}`, certificate)),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function validity(what: string, { notBefore, notAfter }: Certificate): readonly string[] {
  return [`${what} Valid After:\t${formatTime(notBefore)}`, `${what} Valid Until:\t${formatTime(notAfter)}`];
}
