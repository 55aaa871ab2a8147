import { join } from 'node:path';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseWorkloadSvids, type WorkloadSvid } from '../../../spiffe/workload-svid.ts';
import type { Certificate } from '../../../x509/certificate.ts';
import { encodePem } from '../../../x509/pem.ts';
import { text, toggle } from '../../flag-kinds.ts';
import { formatWorkloadSvids } from '../../format-workload-svids.ts';
import { formatProtoJson, outputFlag } from '../../output.ts';
import { workloadCommand } from '../../workload-channel.ts';
import { requireFolder, writePrivateFile, writePublicFile } from '../../written-files.ts';

export const apiFetchX509 = workloadCommand({
  summary: 'Fetch X509-SVIDs from the Workload API',
  flags: {
    silent: toggle('Print nothing'),
    write: text('Folder to write svid.N.pem, svid.N.key and bundle.N.pem to', 'PATH'),
    output: outputFlag,
  },
  run: async ({ silent, write, output }, { api, callOptions, terminal }) => {
    if (write !== '') await requireFolder(write);
    const start = performance.now();
    await using stream = api.fetchX509SVID({}, callOptions);
    const answer = await stream.receive();
    const elapsedMs = performance.now() - start;
    if (answer === undefined) throw new SpiffeError('INTERNAL', 'the agent ended the call without an answer');
    const svids = parseWorkloadSvids(answer);
    const isPretty = output === 'pretty' && !silent;
    if (isPretty) terminal.print(formatWorkloadSvids(svids, elapsedMs));
    if (output === 'json' && !silent) terminal.print(formatProtoJson(answer));
    if (write === '') return;
    for (const [index, svid] of svids.entries()) {
      for (const path of await writeSvid(svid, index, write)) if (isPretty) terminal.print(`Wrote ${path}\n`);
    }
  },
});

/** @returns the files, each of which was written whole */
async function writeSvid(svid: WorkloadSvid, index: number, folder: string): Promise<readonly string[]> {
  const { chain, privateKey, bundle, federatedBundles } = svid;
  const keyPath = join(folder, `svid.${index}.key`);
  await writePrivateFile(keyPath, encodePem('PRIVATE KEY', privateKey));
  const certificates: readonly (readonly [path: string, certificates: readonly Certificate[]])[] = [
    [join(folder, `svid.${index}.pem`), chain],
    [join(folder, `bundle.${index}.pem`), bundle],
    ...[...federatedBundles.values()].map(
      (federated, other) => [join(folder, `federated_bundle.${index}.${other}.pem`), federated] as const,
    ),
  ];
  for (const [path, ders] of certificates) {
    await writePublicFile(path, ders.map(({ der }) => encodePem('CERTIFICATE', der)).join(''));
  }
  return [keyPath, ...certificates.map(([path]) => path)];
}
