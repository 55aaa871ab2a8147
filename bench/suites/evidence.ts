import { hash, randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import type { ImaCheckpoint } from '../../src/tpm/boot/boot-facts.ts';
import { readBootFacts, readBootFactsInSlices } from '../../src/tpm/boot/read-boot-facts.ts';
import { RememberedEventLogs } from '../../src/tpm/boot/remembered-event-logs.ts';
import { credentialEntropyBytes, makeCredential } from '../../src/tpm/make-credential.ts';
import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { bootSelectors } from '../../src/tpm/policy/boot-selectors.ts';
import { checkPolicies } from '../../src/tpm/policy/check-policies.ts';
import { judge, judgeInSlices, nextImaCheckpoint } from '../../src/tpm/policy/judge.ts';
import { learn } from '../../src/tpm/policy/learn.ts';
import { verifyQuote } from '../../src/tpm/quote.ts';
import type { EkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { requireTrustedEk } from '../../src/tpm-trust/require-trusted-ek.ts';
import { contentsOf, type ImaPart, makeImaLog, pathOf } from '../evidence/made-ima-log.ts';
import { RecordedEvidence, recordedBoot } from '../evidence/recorded-evidence.ts';
import { type LoadResult, quantile } from '../results.ts';

/** What a server does with a node's evidence, without the wire. */
const BANK = 'sha256';
/** About 100 kB. */
const GRUB_COMMANDS = 485;
const IMA_FILES = 100_000;
const IMA_FILES_MORE = 1_000;

export interface EvidenceOptions {
  readonly seconds: number;
  readonly report: (line: string) => void;
}

/** How long a node's evidence takes, and how long nothing else runs meanwhile: a slice of it. */
export async function measureEvidence({ seconds, report }: EvidenceOptions): Promise<readonly LoadResult[]> {
  const loads: LoadResult[] = [];
  for (const [name, commands] of [
    ['recorded log', 0],
    ['event log of 100 kB', GRUB_COMMANDS],
  ] as const) {
    report(`evidence, ${name}`);
    const verify = verification(new RecordedEvidence(recordedBoot(commands)));
    loads.push(await timed(`tpm-evidence, ${name}`, seconds, async () => verify(new EkMemory())));
    const memory = new EkMemory();
    loads.push(await timed(`tpm-evidence, ${name}, again`, seconds, async () => verify(memory)));
  }
  report(`evidence, ${IMA_FILES} files`);
  const ima = imaWork();
  loads.push(await timed(`ima, ${IMA_FILES} files`, seconds, async () => void (await ima.whole())));
  loads.push(await timed(`ima, ${IMA_FILES_MORE} more`, seconds, ima.more(await ima.whole())));
  loads.push(slicesOf(ima.sliceMs));
  return loads;
}

/** EK chain, activation, quote, event log, policy, selectors; with what is remembered of the TPM. */
function verification(evidence: RecordedEvidence): (memory: EkMemory) => void {
  const { tpm, authority, ekCertificate, eventLog, pcrs } = evidence;
  const trust: EkTrustStore = {
    hardwareCas: [],
    virtualCas: [authority.certificate],
    virtualManufacturers: new Set(),
    tolerateMissingEku: false,
    revocation: { publicKeyHashes: new Set(), certificateLabels: new Set(), crls: [] },
    enrolled: new Map(),
  };
  const qualifyingData = randomBytes(32);
  const request = { bank: BANK, indices: [...pcrs.keys()] } as const;
  const quoted = tpm.quote(qualifyingData, request);
  const facts = readBootFacts({ bank: BANK, quoted: new Map([[BANK, pcrs]]), eventLog });
  const policies = [learn([facts], { name: 'learned', pcrs: [0, 7] })];
  const ekEvidence = { ekPublic: tpm.ekPublic, ekCertificates: [ekCertificate] };
  return ({ eks, eventLogs }) => {
    const decoded = eks.decode(ekEvidence);
    const { ek } = decoded;
    requireTrustedEk(ek, decoded.certificates, trust, new Date());
    const ak = requireAttestationKey(tpm.akPublic);
    makeCredential(ek, ak.name, randomBytes(32), randomBytes(credentialEntropyBytes(ek)));
    const quote = verifyQuote(quoted, { ek, ak, qualifyingData, pcrs: request, allowUnmeasured: false });
    eks.keep(ekEvidence, decoded);
    const remembered = eventLogs.of(ek.pubHash);
    const boot = readBootFacts({ bank: BANK, quoted: new Map([[BANK, quote.pcrs]]), eventLog, remembered });
    const verdict = judge(policies, boot);
    if (!verdict.isMet || bootSelectors(boot, verdict).length === 0) throw new Error('the policy does not hold');
  };
}

function imaWork() {
  const { eventLog, pcrs } = recordedBoot(0);
  const [first, more] = makeImaLog(pcrs, [IMA_FILES, IMA_FILES_MORE]);
  if (first === undefined || more === undefined) throw new Error('a log has two parts');
  const allow = Array.from({ length: IMA_FILES + IMA_FILES_MORE }, (_, index) => ({
    path: pathOf(index),
    digests: [`sha256:${hash('sha256', contentsOf(index))}`],
  }));
  const policies: readonly BootPolicy[] = [{ name: 'files', ima: { policies: ['tcb'], allow } }];
  checkPolicies(policies);
  const remembered = new RememberedEventLogs().of('node');
  const sliceMs: number[] = [];
  async function sliced<T>(work: Generator<void, T>): Promise<T> {
    for (;;) {
      const start = performance.now();
      const { done, value } = work.next();
      sliceMs.push(performance.now() - start);
      if (done === true) return value;
      await nextTurn();
    }
  }
  async function verify({ log, pcr }: ImaPart, after?: ImaCheckpoint): Promise<ImaCheckpoint> {
    const quoted = new Map([[BANK, new Map([...pcrs, [10, pcr]])]] as const);
    const ima = { log, after };
    const facts = await sliced(readBootFactsInSlices({ bank: BANK, quoted, eventLog, remembered, ima }));
    const verdict = await sliced(judgeInSlices(policies, facts));
    const checkpoint = nextImaCheckpoint(facts, verdict);
    if (!verdict.isMet || checkpoint === undefined) throw new Error('the policy does not hold');
    return checkpoint;
  }
  return {
    sliceMs,
    whole: () => verify(first),
    more: (after: ImaCheckpoint) => async () => void (await verify(more, after)),
  };
}

function slicesOf(sliceMs: readonly number[]): LoadResult {
  return resultOf('ima, a slice', sliceMs, sliceMs.reduce((sum, ms) => sum + ms, 0) / 1000);
}

function resultOf(
  name: string,
  timesMs: readonly number[],
  seconds: number,
  cpuMicros: LoadResult['cpuMicros'] = {},
): LoadResult {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return {
    name,
    callers: 1,
    operations: sorted.length,
    seconds,
    perSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    errors: 0,
    cpuMicros,
  };
}

async function timed(name: string, seconds: number, work: () => Promise<void>): Promise<LoadResult> {
  await work(); // warms up
  const times: number[] = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  do {
    const before = performance.now();
    await work();
    times.push(performance.now() - before);
  } while (performance.now() - start < seconds * 1000);
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return resultOf(name, times, elapsed, { verifier: (user + system) / times.length });
}
