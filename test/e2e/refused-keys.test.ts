import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decodeChallenge, encodeResponse } from '../../src/plugins/tpm/codec.ts';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { Swtpm } from '../../src/testing/swtpm.ts';
import { requireAttestationKey } from '../../src/tpm/attestation-key.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { type Credential, makeCredential } from '../../src/tpm/make-credential.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { agentRecords } from './admin-records.ts';
import { ekHashByTools } from './ek-from-tools.ts';
import { expectRefusal, RefusalFixture, withPayload } from './refusal-fixture.ts';
import type { Tampering } from './tpm-node.ts';

const EK_NV = '0x01c00002';
const PLATFORM_NV = '0x01c08000';

let fixture: RefusalFixture;
beforeAll(async () => {
  fixture = await RefusalFixture.start();
});
afterAll(() => fixture[Symbol.asyncDispose]());
afterEach(() => fixture.expectNothingHappened());

describe('an endorsement key', () => {
  test('whose certificate is of another CA (check A2)', async () => {
    const { otherNode, server } = fixture;
    await expectRefusal(otherNode.attest(server), 'A2', /CA|issuer|root|chain/);
  });

  test('that is not enrolled (check A11)', async () => {
    const { folder, node, other, tpm } = fixture;
    await writeFile(folder.join('enrolled'), `${await ekHashByTools(other, 'rsa-2048')}\n`);
    const byHash = await fixture.startServer(`hash_path = "${folder.join('enrolled')}"`);
    const reason = new RegExp(`${await ekHashByTools(tpm, 'rsa-2048')} .*add its hash to "hash_path"`);
    await expectRefusal(node.attest(byHash), 'A11', reason);
    expect(await agentRecords(byHash)).toEqual([]);
  });

  test('with a platform certificate in the place of its own (check A4)', async () => {
    const { tpm } = fixture;
    const [own, platform] = [await readNv(tpm, EK_NV), await readNv(tpm, PLATFORM_NV)];
    await tpm.removeNv(EK_NV);
    await tpm.writeNv(EK_NV, platform);
    try {
      await fixture.refused({}, 'A4', /platform|purpose|2\.23\.133\.8/);
    } finally {
      await tpm.removeNv(EK_NV);
      await tpm.writeNv(EK_NV, own);
    }
  });

  test('with the certificate of another TPM (check A6)', async () => {
    const certificate = await readNv(fixture.other, EK_NV);
    await fixture.refused(
      withPayload(() => ({ ekCertificates: [certificate] })),
      'A6',
      /for another key/,
    );
  });

  test('with two certificates in one (check A1)', async () => {
    const tampering = withPayload(({ ekCertificates: [own = new Uint8Array(0)] }) => ({
      ekCertificates: [Buffer.concat([own, own])],
    }));
    await fixture.refused(tampering, 'A1', /follow/);
  });

  test('with two certificates in one in its TPM: the node tells nobody of the second (check A11)', async () => {
    const { node, server, tpm } = fixture;
    const own = await readNv(tpm, EK_NV);
    await tpm.removeNv(EK_NV);
    await tpm.writeNv(EK_NV, Buffer.concat([own, await readNv(tpm, PLATFORM_NV)]));
    try {
      await expectRefusal(node.attest(server), 'A11', /has no certificate/);
    } finally {
      await tpm.removeNv(EK_NV);
      await tpm.writeNv(EK_NV, own);
    }
  });

  test.each(['hash', 'serial number and issuer'] as const)('that is revoked by its %s (check A8)', async (by) => {
    const { folder, node, tpm } = fixture;
    const line = by === 'hash' ? await ekHashByTools(tpm, 'rsa-2048') : await certificateLabel(tpm);
    await writeFile(folder.join('revoked'), `${line}\n`);
    const trust = `virtual_ca_path = "${tpm.caPath}"\nrevoked_path = "${folder.join('revoked')}"`;
    const revoking = await fixture.startServer(trust);
    await expectRefusal(node.attest(revoking), 'A8', /revoked/);
    expect(await agentRecords(revoking)).toEqual([]);
  });

  test('whose certificate is in the CRL of its CA (check A8)', async () => {
    const { folder, node, tpm } = fixture;
    const ca = EkAuthority.root();
    const own = await readNv(tpm, EK_NV);
    await tpm.removeNv(EK_NV);
    await tpm.writeNv(EK_NV, ca.issueEkCertificate(parseCertificate(own).subjectPublicKeyInfo, { serial: 4711 }));
    await writeFile(folder.join('ca.der'), ca.certificate.der);
    const trust = `ca_path = "${folder.join('ca.der')}"\ncrl_path = "${folder.join('ca.crl')}"`;
    try {
      await writeFile(folder.join('ca.crl'), ca.issueCrl([4710]));
      const lenient = await fixture.startServer(trust);
      await node.attest(lenient);
      expect((await agentRecords(lenient))[0]?.selectors).toContain('tpm:ek:hardware');
      await writeFile(folder.join('ca.crl'), ca.issueCrl([4710, 4711]));
      const revoking = await fixture.startServer(trust);
      await expectRefusal(node.attest(revoking), 'A8', /is on the CRL of CN=TPM root/);
      expect(await agentRecords(revoking)).toEqual([]);
    } finally {
      await tpm.removeNv(EK_NV);
      await tpm.writeNv(EK_NV, own);
    }
  });
});

describe('an attestation key', () => {
  test('that is in the TPM, but not restricted (check B12)', async () => {
    const akPublic = await unrestrictedKey(fixture.tpm);
    await fixture.refused(
      withPayload(() => ({ akPublic })),
      'B12',
      /lacks the attribute restricted/,
    );
  });

  test('that is a software key (check B12)', async () => {
    const { akPublic } = new SoftwareTpm({ akFields: { attributes: USER_WITH_AUTH_AND_SIGN } });
    await fixture.refused(
      withPayload(() => ({ akPublic })),
      'B12',
      /lacks the attribute fixedTPM/,
    );
  });

  test('that is a software key which says that a TPM holds it (check B16)', async () => {
    const software = new SoftwareTpm();
    const tampering: Tampering = {
      ...withPayload(() => ({ akPublic: software.akPublic })),
      async answer(challenge, respond) {
        await expect(respond(challenge)).rejects.toThrow(/TPM2_ActivateCredential/);
        return guess(software, challenge);
      },
    };
    await fixture.refused(tampering, 'B16', /did not open the credential/);
  });

  test('that is a software key with a policy, its public half put into the TPM: no TPM activates it (check B16)', async () => {
    const { tpm } = fixture;
    const authPolicy = createHash('sha256')
      .update(Buffer.concat([Buffer.alloc(32), POLICY_COMMAND_CODE, ACTIVATE_CREDENTIAL]))
      .digest();
    const software = new SoftwareTpm({ akFields: { authPolicy } });
    const tampering: Tampering = {
      ...withPayload(() => ({ akPublic: software.akPublic })),
      answer: async (challenge) => guess(software, challenge),
    };
    await fixture.refused(tampering, 'B16', /did not open the credential/);
    const ek = requireEndorsementKey(await createEk(tpm));
    const credential = makeCredential(ek, requireAttestationKey(software.akPublic).name, randomBytes(32));
    await expect(activateByPolicy(tpm, software.akPublic, credential)).rejects.toThrow(
      /authValue or authPolicy is not available/,
    );
    for (const kind of ['-t', '-l', '-s']) await tpm.tools('tpm2_flushcontext', kind);
  });
});

const USER_WITH_AUTH_AND_SIGN = 0x0004_0040;
/** TPM_CC: TPM 2.0 Library, Part 2, §6.5.2. */
const POLICY_COMMAND_CODE = Buffer.from('0000016c', 'hex');
const ACTIVATE_CREDENTIAL = Buffer.from('00000147', 'hex');
/** Before what tpm2_makecredential writes. */
const CREDENTIAL_HEADER = Buffer.from('badcc0de00000001', 'hex');

/** The best that somebody can do who did not get the secret. */
function guess(tpm: SoftwareTpm, challenge: Uint8Array): Uint8Array {
  const { pcrs } = decodeChallenge(challenge);
  return encodeResponse({ secret: randomBytes(32), ...tpm.quote(randomBytes(32), pcrs) });
}

async function readNv(tpm: Swtpm, index: string): Promise<Uint8Array> {
  await tpm.tools('tpm2_nvread', index, '-C', 'o', '-o', 'nv.bin');
  return new Uint8Array(await tpm.read('nv.bin'));
}

async function createEk(tpm: Swtpm): Promise<Uint8Array> {
  await tpm.tools('tpm2_createek', '-G', 'rsa', '-c', 'ek.ctx', '-u', 'ek.pub');
  await tpm.tools('tpm2_flushcontext', '-t');
  return tpm.read('ek.pub');
}

async function unrestrictedKey(tpm: Swtpm): Promise<Uint8Array> {
  const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign';
  const key = ['-C', 'o', '-G', 'ecc256:ecdsa-sha256:null', '-a', attributes, '-c', 'loose.ctx'];
  await tpm.tools('tpm2_createprimary', ...key);
  await tpm.tools('tpm2_readpublic', '-c', 'loose.ctx', '-o', 'loose.pub');
  await tpm.tools('tpm2_flushcontext', '-t');
  return new Uint8Array(await tpm.read('loose.pub'));
}

/** The owner of a TPM can load the public half of any key, and meet its policy. */
async function activateByPolicy(tpm: Swtpm, akPublic: Uint8Array, credential: Credential): Promise<void> {
  await tpm.write('ak.pub', akPublic);
  const { credentialBlob, encryptedSecret } = credential;
  await tpm.write('credential', Buffer.concat([CREDENTIAL_HEADER, credentialBlob, encryptedSecret]));
  await tpm.tools('tpm2_loadexternal', '-C', 'n', '-u', 'ak.pub', '-c', 'ak.ctx');
  await tpm.tools('tpm2_startauthsession', '--policy-session', '-S', 'ak.session');
  await tpm.tools('tpm2_policycommandcode', '-S', 'ak.session', 'TPM2_CC_ActivateCredential');
  await tpm.tools('tpm2_startauthsession', '--policy-session', '-S', 'ek.session');
  await tpm.tools('tpm2_policysecret', '-S', 'ek.session', '-c', 'e');
  const keys = ['-c', 'ak.ctx', '-C', 'ek.ctx', '-p', 'session:ak.session', '-P', 'session:ek.session'];
  await tpm.tools('tpm2_activatecredential', ...keys, '-i', 'credential', '-o', 'secret');
}

/** As `revoked_path` takes it: the serial number in hex, and the issuer. */
async function certificateLabel(tpm: Swtpm): Promise<string> {
  await tpm.write('ek.der', await readNv(tpm, EK_NV));
  const printing = ['-inform', 'DER', '-in', 'ek.der', '-noout', '-nameopt', 'rfc2253', '-serial', '-issuer'];
  const printed = await tpm.tools('openssl', 'x509', ...printing);
  const [, serial = '', issuer = ''] = /serial=(\w+)\s+issuer=(.*)/.exec(printed) ?? [];
  return `${serial} ${issuer}`;
}
