import { fileURLToPath } from 'node:url';
import { SoftHsmToken } from '../../src/testing/softhsm-token.ts';
import type { KeyType } from '../../src/x509/signer.ts';
import { buildFaultyPkcs11 } from '../../test/harness/faulty-pkcs11.ts';
import { createTemporaryFolder } from '../../test/harness/temporary-folder.ts';
import { LoadTally } from '../driver/load.ts';
import type { FromOwnRate, ToOwnRate } from '../pkcs11/messages.ts';
import { Child } from '../process/child.ts';
import { BenchHost, pluginConfig } from '../process/host.ts';
import type { Pkcs11Result } from '../results.ts';

const DIGEST = new Uint8Array(32).fill(7);
/** Short ones, so that whatever else the machine does falls on both alike. */
const TURNS = 10;
const LABEL = 'bench';
const SLOW_MS = 5;
const OWN_RATE = fileURLToPath(new URL('../pkcs11/main.ts', import.meta.url));

interface Case {
  readonly name: string;
  readonly keyType: KeyType;
  readonly sessions: number;
  readonly isSlow: boolean;
}

const CASES: readonly Case[] = [
  { name: 'P-256', keyType: 'ec-p256', sessions: 1, isSlow: false },
  { name: 'RSA-2048', keyType: 'rsa-2048', sessions: 1, isSlow: false },
  { name: 'P-256, each 5 ms longer', keyType: 'ec-p256', sessions: 1, isSlow: true },
  { name: 'P-256, each 5 ms longer', keyType: 'ec-p256', sessions: 4, isSlow: true },
  { name: 'RSA-4096', keyType: 'rsa-4096', sessions: 4, isSlow: false },
];

/** Signatures a second of the key manager `pkcs11`, as its host has them, and of its module, SoftHSM, in a loop; in turns. */
export async function measurePkcs11(
  dist: string,
  { seconds, report }: { readonly seconds: number; readonly report: (line: string) => void },
): Promise<readonly Pkcs11Result[]> {
  await using folder = await createTemporaryFolder();
  await using token = await SoftHsmToken.create({ label: LABEL });
  const slowModule = await buildFaultyPkcs11(folder.path);
  Object.assign(process.env, token.environment, {
    BENCH_TOKEN_PIN: token.pin,
    ASSAYER_PKCS11_BEHIND: token.modulePath,
    ASSAYER_PKCS11_SIGN_MS: String(SLOW_MS),
  });
  const results: Pkcs11Result[] = [];
  for (const measured of CASES) {
    report(`pkcs11, ${measured.name}, ${measured.sessions} at once`);
    const modulePath = measured.isSlow ? slowModule : token.modulePath;
    results.push(await measureCase(dist, { ...measured, modulePath, pin: token.pin, seconds }));
  }
  return results;
}

async function measureCase(
  dist: string,
  { name, keyType, sessions, modulePath, pin, seconds }: Case & { modulePath: string; pin: string; seconds: number },
): Promise<Pkcs11Result> {
  const text = `module_path = "${modulePath}"
    token_label = "${LABEL}"
    pin_env = "BENCH_TOKEN_PIN"
    max_sessions = ${sessions}`;
  const env = ['SOFTHSM2_CONF', 'BENCH_TOKEN_PIN', 'ASSAYER_PKCS11_BEHIND', 'ASSAYER_PKCS11_SIGN_MS'];
  const plugin = pluginConfig({
    type: 'KeyManager',
    name: 'pkcs11',
    data: { text },
    sandbox: { enabled: true, required: false, env },
  });
  await using host = await BenchHost.load(dist, 'server', [plugin, pluginConfig({ type: 'DataStore', name: 'sql' })]);
  const key = await host.catalog.keyManager.generateKey('bench', keyType);
  await using own = await Child.start<ToOwnRate, FromOwnRate>({
    name: 'the loop',
    path: OWN_RATE,
    endSignal: 'SIGKILL',
  });
  await own.ask({ kind: 'open', modulePath, label: LABEL, pin, keyType, threads: sessions }, 'opened', 60_000);
  const tally = new LoadTally({ name, callers: sessions, warmUpSeconds: 1, operationsACall: 1 });
  const call = async () => void (await key.signDigest(DIGEST, 'sha256'));
  await tally.warmUp(call);
  let operations = 0;
  let ownSeconds = 0;
  for (let turn = 0; turn < TURNS; turn += 1) {
    await tally.run(seconds / TURNS, host.processesOf('pkcs11', 'plugin'), call);
    const turned = await own.ask({ kind: 'turn', seconds: seconds / TURNS }, 'turned', 60_000);
    operations += turned.operations;
    ownSeconds += turned.seconds;
  }
  return { load: tally.result, ownPerSecond: operations / ownSeconds };
}
