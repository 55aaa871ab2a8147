import { createHash, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeChallenge, encodePayload, encodeResponse } from '../../../src/plugins/tpm/codec.ts';
import { type Swtpm, startSwtpm } from '../../../src/testing/swtpm.ts';
import { decodePem } from '../../../src/x509/pem.ts';
import { attestAgent } from '../../e2e/attest-agent.ts';
import { ekHashByTools } from '../../e2e/ek-from-tools.ts';
import { nothingLeftIn } from '../../e2e/nothing-left.ts';
import { tpmServer } from '../../e2e/tpm-server.ts';
import type { TestServer } from '../../harness/running-server.ts';

// A node without a line of our TPM code: what tpm2-tools and openssl make, the server has to take.

/** Before what tpm2_activatecredential reads: magic and version. */
const CREDENTIAL_HEADER = Buffer.from('badcc0de00000001', 'hex');
/** docs/plugins/tpm.md, "On the wire". */
const BINDING_LABEL = 'assayer tpm node attestation v1';

const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let server: TestServer;
beforeAll(async () => {
  tpm = resources.use(await startSwtpm({ ek: ['rsa-2048'] }));
  server = await tpmServer(resources, `virtual_ca_path = "${tpm.caPath}"`);
});
afterAll(() => resources.disposeAsync());

const bytesOf = async (name: string): Promise<Uint8Array> => new Uint8Array(await tpm.read(name));

/** tpm2_createek and tpm2_createak, for which only their files remain. */
async function createKeys(akAlgorithm: 'ecc' | 'rsa', scheme: string) {
  await tpm.tools('tpm2_createek', '-G', 'rsa', '-c', 'ek.ctx', '-u', 'ek.pub');
  await tpm.tools('tpm2_flushcontext', '-t');
  const files = ['-c', 'ak.ctx', '-u', 'ak.pub', '-n', 'ak.name'];
  await tpm.tools('tpm2_createak', '-C', 'ek.ctx', '-G', akAlgorithm, '-g', 'sha256', '-s', scheme, ...files);
  await flush();
  await tpm.tools('tpm2_readpublic', '-c', 'ek.ctx', '-n', 'ek.name');
  await flush();
}

async function flush(): Promise<void> {
  for (const kind of ['-t', '-l', '-s']) await tpm.tools('tpm2_flushcontext', kind);
}

async function newCsr(): Promise<{ csr: Uint8Array; publicKey: Uint8Array }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await tpm.write('csr.key', Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  await tpm.tools('openssl', 'req', '-new', '-key', 'csr.key', '-subj', '/', '-outform', 'DER', '-out', 'csr.der');
  return {
    csr: await bytesOf('csr.der'),
    publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  };
}

async function activate(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
  await tpm.write('credential', Buffer.concat([CREDENTIAL_HEADER, credentialBlob, encryptedSecret]));
  await tpm.tools('tpm2_startauthsession', '--policy-session', '-S', 'session.ctx');
  await tpm.tools('tpm2_policysecret', '-S', 'session.ctx', '-c', 'e');
  const keys = ['-c', 'ak.ctx', '-C', 'ek.ctx', '-P', 'session:session.ctx'];
  await tpm.tools('tpm2_activatecredential', ...keys, '-i', 'credential', '-o', 'secret');
  await flush();
  return await bytesOf('secret');
}

/** Five fields, each behind its length as a u32. */
function binding(...fields: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const field of fields) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    hash.update(length).update(field);
  }
  return hash.digest('hex');
}

test.each([
  ['ecc', 'ecdsa'],
  ['rsa', 'rsassa'],
  ['rsa', 'rsapss'],
] as const)('a node of tpm2-tools with an AK %s, %s, is admitted', async (akAlgorithm, scheme) => {
  await createKeys(akAlgorithm, scheme);
  await tpm.tools('tpm2_getekcertificate', '-o', 'ek.crt');
  const { csr, publicKey } = await newCsr();
  const payload = encodePayload({
    ekPublic: await bytesOf('ek.pub'),
    akPublic: await bytesOf('ak.pub'),
    ekCertificates: [await exactDer('ek.crt')],
  });
  const attested = await attestAgent(server, {
    payload,
    csr,
    async answer(bytes) {
      const { credentialBlob, encryptedSecret, nonce, pcrs } = decodeChallenge(bytes);
      const secret = await activate(credentialBlob, encryptedSecret);
      const names = [await bytesOf('ek.name'), await bytesOf('ak.name')];
      const qualification = binding(Buffer.from(BINDING_LABEL), nonce, publicKey, ...names);
      const selection = `${pcrs.bank}:${pcrs.indices.join(',')}`;
      const outputs = ['-m', 'quote.msg', '-s', 'quote.sig', '--scheme', scheme];
      await tpm.tools('tpm2_quote', '-c', 'ak.ctx', '-l', selection, '-q', qualification, '-g', 'sha256', ...outputs);
      await flush();
      await tpm.tools('tpm2_pcrread', selection, '-o', 'pcrs.bin');
      const values = await bytesOf('pcrs.bin');
      return encodeResponse({
        secret,
        quote: await bytesOf('quote.msg'),
        signature: await bytesOf('quote.sig'),
        pcrValues: pcrs.indices.map((_, position) => values.slice(position * 32, position * 32 + 32)),
      });
    },
  });
  expect(attested.agentId).toBe(`spiffe://example.org/spire/agent/tpm/${await ekHashByTools(tpm, 'rsa-2048')}`);
  await nothingLeftIn(tpm);
});

/** openssl cuts off whatever follows the certificate in NV. */
async function exactDer(name: string): Promise<Uint8Array> {
  const pem = await tpm.tools('openssl', 'x509', '-inform', 'DER', '-in', name);
  const [der = new Uint8Array(0)] = decodePem(pem, 'CERTIFICATE');
  return der;
}
