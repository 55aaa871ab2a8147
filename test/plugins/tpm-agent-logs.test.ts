import { copyFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tpmAgentConfig } from '../../src/plugins/tpm/agent-config.ts';
import { attestTpm, type TpmAgentAttributes, type TpmAttestorState } from '../../src/plugins/tpm/attest.ts';
import { decodeChallenge } from '../../src/plugins/tpm/codec.ts';
import { type TpmServerConfig, tpmServerConfig } from '../../src/plugins/tpm/config.ts';
import { EkMemory } from '../../src/plugins/tpm/ek-memory.ts';
import { encodeLogRequest } from '../../src/plugins/tpm/log-codec.ts';
import { MeasuredLog } from '../../src/plugins/tpm/measured-log.ts';
import { NO_POLICIES } from '../../src/plugins/tpm/policies.ts';
import { aidTpmAttestation } from '../../src/plugins/tpm/prove.ts';
import { Slots } from '../../src/plugins/tpm/slots.ts';
import { Swtpm } from '../../src/testing/swtpm.ts';
import { readEkTrustStore } from '../../src/tpm-trust/ek-trust-store.ts';
import { deniedBy } from '../harness/denied.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { MACHINES, readVector } from '../tpm/vectors.ts';
import { goOnMeasuring, imaLogUpTo } from './recorded-boot.ts';
import { csrKey, TRUST_DOMAIN } from './tpm-server-fixture.ts';

const [machine] = MACHINES;
const KEY = csrKey();
const MEASURED_AT_BOOT = 18;

const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let eventLog = '';
let imaLog = '';
beforeAll(async () => {
  const recorded = {
    eventLog: readVector(machine, 'binary_bios_measurements'),
    imaLog: imaLogUpTo(machine, MEASURED_AT_BOOT),
  };
  tpm = resources.use(await Swtpm.start({ ek: ['ec-p384'], pcrBanks: 'sha256', ...recorded }));
  eventLog = await tpm.write('events', readVector(machine, 'binary_bios_measurements'));
  imaLog = await tpm.write('ima', readVector(machine, 'ima-binary.bin'));
});
afterAll(() => resources.disposeAsync());

async function stateOf(config: TpmServerConfig): Promise<TpmAttestorState> {
  const trust = await readEkTrustStore(config);
  return { config, trust, memory: new EkMemory(), policies: NO_POLICIES, slots: new Slots(1) };
}

/** Both halves over a real TPM, without a host between them. */
async function attest(
  serverConfig: Readonly<Record<string, unknown>>,
  agentConfig: Readonly<Record<string, unknown>> = {},
): Promise<TpmAgentAttributes> {
  const config = tpmServerConfig.parse({ ca_path: tpm.caPath, ...serverConfig });
  const state = await stateOf(config);
  const paths = { event_log_path: eventLog, ima_log_path: imaLog, command_line_path: '/proc/cmdline' };
  const agent = aidTpmAttestation(tpmAgentConfig.parse({ tcti: tpm.tcti, ...paths, ...agentConfig }), KEY);
  try {
    const payload = await agent.next();
    const server = attestTpm(payload.value ?? new Uint8Array(0), state, {
      trustDomain: TRUST_DOMAIN,
      csrPublicKey: KEY,
      now: () => new Date(),
    });
    let step = await server.next();
    while (step.done !== true) {
      const answer = await agent.next(step.value);
      step = await server.next(answer.value ?? new Uint8Array(0));
    }
    return step.value;
  } finally {
    await agent.return();
  }
}

test('a TPM that was extended as the logs say is admitted, though the log of IMA went on since its quote', {
  timeout: 60_000,
}, async () => {
  const { selectorValues } = await attest({ event_log: true, ima_log: true });
  expect(selectorValues).toEqual(expect.arrayContaining([expect.stringMatching(/^reset_count:\d+$/)]));
  await goOnMeasuring(tpm, machine, MEASURED_AT_BOOT, MEASURED_AT_BOOT + 1);
  await attest({ event_log: true, ima_log: true });
  await tpm.tools('tpm2_pcrextend', `10:sha256=${'5a'.repeat(32)}`);
  await expect(attest({ event_log: true, ima_log: true })).rejects.toEqual(deniedBy('E39'));
  await tpm.tools('tpm2_pcrextend', `14:sha256=${'5a'.repeat(32)}`);
  await expect(attest({ event_log: true })).rejects.toEqual(deniedBy('D28'));
});

test('a node without logs says so', { timeout: 60_000 }, async () => {
  const paths = { event_log_path: '/nowhere/events', ima_log_path: '/nowhere/ima' };
  const { selectorValues } = await attest({ event_log: true, ima_log: true }, paths);
  expect(selectorValues.some((value) => value.startsWith('secure_boot:'))).toBe(false);
});

test('a log that cannot be read ends the attestation with the name of its setting', { timeout: 60_000 }, async () => {
  await expect(attest({ event_log: true }, { event_log_path: tpm.folder })).rejects.toMatchObject({
    code: 'FILE_UNUSABLE',
    message: expect.stringMatching(/cannot read the log that the server wants and "event_log_path" names: EISDIR/),
  });
});

test('the TPM is free for others while the logs are sent, and nothing is sent that was not announced', {
  timeout: 60_000,
}, async () => {
  const config = tpmServerConfig.parse({ ca_path: tpm.caPath, event_log: true });
  const state = await stateOf(config);
  const agent = aidTpmAttestation(tpmAgentConfig.parse({ tcti: tpm.tcti, event_log_path: eventLog }), KEY);
  const payload = await agent.next();
  const context = { trustDomain: TRUST_DOMAIN, csrPublicKey: KEY, now: () => new Date() };
  const server = attestTpm(payload.value ?? new Uint8Array(0), state, context);
  const challenge = await server.next();
  if (challenge.done === true) throw new RangeError('admitted without a challenge');
  expect(decodeChallenge(challenge.value).logs).toEqual(['event', 'command line']);
  await agent.next(challenge.value);
  expect(await tpm.tools('tpm2_getcap', 'pcrs')).toMatch(/sha256/);
  await expect(agent.next(encodeLogRequest({ log: 'ima', offset: 0, length: 1 }))).rejects.toMatchObject({
    code: 'TPM_DATA_INVALID',
    message: expect.stringMatching(/did not announce that/),
  });
  await server.return({ spiffeId: 'spiffe://example.org/x' as never, selectorValues: [], canReattest: true });
});

test('a log is read anew at each request, as its kernel goes on writing it', async () => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('log');
  await copyFile(imaLog, path);
  await using log = new MeasuredLog(path, 'ima_log_path');
  const first = await log.read({ log: 'ima', offset: 0, length: 1000 });
  expect(first).toMatchObject({ state: 'more', offset: 0 });
  const { length } = readVector(machine, 'ima-binary.bin');
  expect(await log.read({ log: 'ima', offset: length, length: 10 })).toMatchObject({
    state: 'end',
    bytes: Buffer.alloc(0),
  });
  await writeFile(path, Buffer.from('more'), { flag: 'a' });
  const last = await log.read({ log: 'ima', offset: length - 2, length: 10 });
  expect(last.state).toBe('end');
  expect(Buffer.from(last.bytes).toString('latin1')).toMatch(/more$/);
});
