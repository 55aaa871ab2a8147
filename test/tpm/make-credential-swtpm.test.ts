import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Swtpm } from '../../src/testing/swtpm.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { verifyQuote } from '../../src/tpm/quote.ts';
import { concat, u32 } from '../../src/tpm/tpm-writer.ts';
import { toHex } from './vectors.ts';

/** tpm2-tools write these before the two structures of a credential. */
const CREDENTIAL_HEADER = concat(u32(0xbadcc0de), u32(1));
const SECRET = randomBytes(32);
const NONCE = randomBytes(32);
const PCRS = { bank: 'sha256', indices: [0, 1, 2, 3, 4, 5, 6, 7] } as const;

describe.each([
  ['rsa', 'L-1', 'low'],
  ['ecc', 'L-2', 'low'],
  ['ecc384', 'H-3', 'high'],
] as const)('a TPM with an %s endorsement key', (algorithm, template, range) => {
  test('is of the template, opens the credential and makes the quote', { timeout: 60_000 }, async () => {
    await using tpm = await Swtpm.start({ ek: ['rsa-2048'] });
    const run = async (command: string, ...args: readonly string[]) => {
      await tpm.tools(command, ...args);
      await tpm.tools('tpm2_flushcontext', '-t');
    };
    await run('tpm2_createek', '-G', algorithm, '-c', 'ek.ctx', '-u', 'ek.pub');
    await run(
      'tpm2_createak',
      '-C',
      'ek.ctx',
      '-c',
      'ak.ctx',
      '-G',
      'ecc',
      '-g',
      'sha256',
      '-s',
      'ecdsa',
      '-u',
      'ak.pub',
    );
    await run('tpm2_pcrextend', `0:sha256=${'5a'.repeat(32)}`);
    const ek = requireEndorsementKey(await tpm.read('ek.pub'));
    const ak = requireAttestationKey(await tpm.read('ak.pub'));
    expect(ek.template.name).toBe(template);

    const { credentialBlob, encryptedSecret } = makeCredential(ek, ak.name, SECRET);
    await tpm.write('credential', concat(CREDENTIAL_HEADER, credentialBlob, encryptedSecret));
    const session: string[] = [];
    if (range === 'low') {
      await tpm.tools('tpm2_startauthsession', '--policy-session', '-S', 'session.ctx');
      await tpm.tools('tpm2_policysecret', '-S', 'session.ctx', '-c', 'e');
      session.push('-P', 'session:session.ctx');
    }
    await run(
      'tpm2_activatecredential',
      '-c',
      'ak.ctx',
      '-C',
      'ek.ctx',
      '-i',
      'credential',
      '-o',
      'secret',
      ...session,
    );
    expect(toHex(await tpm.read('secret'))).toBe(toHex(SECRET));

    const quote = ['-c', 'ak.ctx', '-l', 'sha256:0,1,2,3,4,5,6,7', '-g', 'sha256', '-q', toHex(NONCE)];
    await run('tpm2_quote', ...quote, '-m', 'quote', '-s', 'signature');
    await run('tpm2_pcrread', 'sha256:0,1,2,3,4,5,6,7', '-o', 'pcrs');
    const values = await tpm.read('pcrs');
    const evidence = {
      quote: await tpm.read('quote'),
      signature: await tpm.read('signature'),
      pcrValues: PCRS.indices.map((index) => values.subarray(index * 32, index * 32 + 32)),
    };
    const expected = { ek, ak, qualifyingData: NONCE, pcrs: PCRS, allowUnmeasured: false };
    expect(verifyQuote(evidence, expected).clockInfo.safe).toBe(true);
  });
});
