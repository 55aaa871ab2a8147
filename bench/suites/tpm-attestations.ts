import type { Driver } from '../driver/driver.ts';
import { KEPT_ATTESTATION_LOADS } from '../driver/job.ts';
import { memoryOf } from '../process/proc.ts';
import { BenchServer, TRUST_DOMAIN } from '../process/server.ts';
import type { AttestationResults, LoadResult, MemoryMoment } from '../results.ts';

export interface AttestationOptions {
  readonly folder: string;
  readonly dist: string;
  readonly seconds: number;
  readonly callers: number;
  readonly report: (line: string) => void;
}

/** Each load so often, one behind the other, so that memory is seen after one, two and four times as many attestations. */
const PARTS = [1, 1, 2];

/** Nodes with a TPM that attest at a whole server, over connections that are kept: no TLS handshakes are in it. */
export async function measureAttestations(driver: Driver, options: AttestationOptions): Promise<AttestationResults> {
  const { folder, dist, seconds, callers, report } = options;
  const ekCaPath = `${folder}/ek-ca.pem`;
  await driver.makeTpms(ekCaPath);
  const loads: LoadResult[] = [];
  const memory: MemoryMoment[] = [];
  for (const load of KEPT_ATTESTATION_LOADS) {
    const isMeasured = load === 'attest-measured-kept';
    await using server = await BenchServer.start({ folder: `${folder}/${load}`, dist, ekCaPath, eventLog: isMeasured });
    const { adminSocket, port, program } = server;
    const { processes } = program;
    const target = { trustDomain: TRUST_DOMAIN, adminSocket, port, workloadSocket: '' };
    const momentOf = (when: string): MemoryMoment => ({
      when: `${load}, ${when}`,
      processes: processes.map(({ name, pid }) => ({ process: name, ...memoryOf(pid) })),
    });
    memory.push(momentOf('started'));
    let operations = 0;
    for (const [index, times] of PARTS.entries()) {
      const result = await driver.load({
        load,
        target,
        callers,
        seconds: seconds * times,
        warmUpSeconds: index === 0 ? 2 : 0,
        processes,
      });
      operations += result.operations;
      report(`${load}: ${result.perSecond.toFixed(0)} a second${result.firstError ? `, ${result.firstError}` : ''}`);
      if (index === PARTS.length - 1) loads.push(result);
      memory.push(momentOf(`after ${operations.toLocaleString('en-US')}`));
    }
  }
  return { loads, memory };
}
