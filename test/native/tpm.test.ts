import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/load-addon.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { encodeAkTemplate } from '../../src/tpm/ak-templates.ts';
import { EK_TEMPLATES, type EkTemplate, encodeEkTemplate } from '../../src/tpm/ek-templates.ts';
import { requireEndorsementKey } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { encodePcrSelections } from '../../src/tpm/pcr-selection.ts';
import { parsePublic } from '../../src/tpm/public-area.ts';
import { spkiOfPublicArea } from '../../src/tpm/public-key.ts';
import type { NativeTpm, NativeTpmContext } from '../../src/tpm-device/native-tpm.ts';
import { TpmProxy } from '../harness/tpm-proxy.ts';

const { TpmContext } = loadAddon('tpm') as NativeTpm;
const COMMAND = { activateCredential: 0x147, flushContext: 0x165 } as const;
const RC = { retry: 0x922, value: 0x84, badAuth: 0x9a2 } as const;
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + index);
const PCRS = encodePcrSelections([{ bank: 'sha256', indices: [0, 7, 16] }]);

let tpm: Swtpm;
beforeAll(async () => {
  tpm = await startSwtpm({ ek: ['rsa-2048', 'ec-p256', 'ec-p384'] });
});
afterAll(() => tpm[Symbol.asyncDispose]());

/** A context that is closed with its scope. */
async function openTpm(tcti = tpm.tcti): Promise<{ context: NativeTpmContext } & AsyncDisposable> {
  const context = new TpmContext(tcti);
  await context.open();
  return { context, [Symbol.asyncDispose]: () => context.close() };
}

function template(name: EkTemplate['name']): EkTemplate {
  const found = EK_TEMPLATES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no template ${name}`);
  return found;
}

const authorization = ({ range }: EkTemplate) => (range === 'low' ? 'policy-secret' : 'password');

async function expectNothingLeft(): Promise<void> {
  expect(await tpm.handles('transient')).toEqual([]);
  expect(await tpm.handles('loaded-session')).toEqual([]);
}

describe('reading', () => {
  test('an NV index larger than one TPM2_NV_Read gives whole', async () => {
    const content = Uint8Array.from({ length: 2000 }, (_, index) => index % 251);
    await tpm.writeNv('0x01c08100', content);
    await using open = await openTpm();
    const [[, largest] = []] = await open.context.readProperties(0x12c, 1);
    expect(largest).toBeLessThan(content.length);
    expect(await open.context.readNv(0x01c08100)).toEqual(content);
  });

  test('an NV index that is not defined is undefined', async () => {
    await using open = await openTpm();
    expect(await open.context.readNv(0x01c0ffff)).toBeUndefined();
  });

  test('as many PCRs as there are, in several TPM2_PCR_Read', async () => {
    await using open = await openTpm();
    const indices = Array.from({ length: 24 }, (_, index) => index);
    const values = await open.context.readPcrs(encodePcrSelections([{ bank: 'sha256', indices }]));
    expect(values.map(({ index }) => index)).toEqual(indices);
    expect(values[17]?.digest).toEqual(new Uint8Array(32).fill(0xff));
  });

  test('a failure carries its code and the command', async () => {
    await using open = await openTpm();
    await expect(open.context.openObject(0x8101beef)).rejects.toMatchObject({
      rc: 0x18b,
      command: 'TPM2_ReadPublic',
    });
  });
});

describe('the EK', () => {
  test.each([
    ['L-1', 'rsa'],
    ['L-2', 'ecc'],
  ] as const)('of template %s is the one of tpm2_createek -G %s', async (name, algorithm) => {
    await tpm.tools('tpm2_createek', '-G', algorithm, '-c', 'cross.ctx', '-u', 'cross.pub');
    await tpm.tools('tpm2_flushcontext', '-t');
    await using open = await openTpm();
    const ek = await open.context.createEk(encodeEkTemplate(template(name)));
    expect(Buffer.from(ek.publicArea).toString('hex')).toBe(Buffer.from(await tpm.read('cross.pub')).toString('hex'));
  });

  test('of template H-3 is the key of the certificate that swtpm_setup wrote', async () => {
    await using open = await openTpm();
    const ek = await open.context.createEk(encodeEkTemplate(template('H-3')));
    const certificate = new X509Certificate((await open.context.readNv(0x01c00016)) ?? new Uint8Array(0));
    const key = createPublicKey({
      key: Buffer.from(spkiOfPublicArea(parsePublic(ek.publicArea))),
      format: 'der',
      type: 'spki',
    });
    expect(key.equals(certificate.publicKey)).toBe(true);
  });

  test.each([
    ['cut off', (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ['with a byte behind it', (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.of(0)])],
  ])('is not made from a template %s', async (_rule, damage) => {
    await using open = await openTpm();
    await expect(open.context.createEk(damage(encodeEkTemplate(template('L-1'))))).rejects.toThrow();
  });
});

describe.each(['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-6'] as const)('with an EK of template %s', (name) => {
  const ekTemplate = template(name);

  test('the credential is activated, and the secret never crosses the bus in the clear', async () => {
    await using proxy = await TpmProxy.start(tpm);
    await using open = await openTpm(proxy.tcti);
    const { context } = open;
    const ek = await context.createEk(encodeEkTemplate(ekTemplate));
    const ak = await context.createAk(ek.id, authorization(ekTemplate), encodeAkTemplate('ecc-p256'));
    const { credentialBlob, encryptedSecret } = makeCredential(requireEndorsementKey(ek.publicArea), ak.name, SECRET);
    const activated = await context.activateCredential(
      ak.id,
      ek.id,
      authorization(ekTemplate),
      credentialBlob,
      encryptedSecret,
    );
    expect(activated).toEqual(SECRET);
    expect(proxy.messages.map(({ commandCode }) => commandCode)).toContain(COMMAND.activateCredential);
    expect(proxy.traffic).not.toContain(Buffer.from(SECRET).toString('hex'));
    expect(proxy.traffic).not.toContain(Buffer.from(credentialBlob).toString('hex'));
  });

  test('a credential for another AK is refused, and nothing is left behind', async () => {
    {
      await using open = await openTpm();
      const { context } = open;
      const ek = await context.createEk(encodeEkTemplate(ekTemplate));
      const ak = await context.createAk(ek.id, authorization(ekTemplate), encodeAkTemplate('ecc-p256'));
      const { credentialBlob, encryptedSecret } = makeCredential(requireEndorsementKey(ek.publicArea), ek.name, SECRET);
      await expect(
        context.activateCredential(ak.id, ek.id, authorization(ekTemplate), credentialBlob, encryptedSecret),
      ).rejects.toMatchObject({ command: 'TPM2_ActivateCredential' });
    }
    await expectNothingLeft();
  });
});

describe('the quote', () => {
  test.each([
    ['ecc-p256', 'ecdsa'],
    ['rsa-2048', 'rsassa'],
  ] as const)('of an %s AK passes tpm2_checkquote', async (algorithm, _scheme) => {
    const nonce = 'c0ffee00c0ffee00c0ffee00c0ffee00';
    {
      await using open = await openTpm();
      const ek = await open.context.createEk(encodeEkTemplate(template('L-2')));
      const ak = await open.context.createAk(ek.id, 'policy-secret', encodeAkTemplate(algorithm));
      const { attest, signature } = await open.context.quote(ak.id, Buffer.from(nonce, 'hex'), PCRS);
      await tpm.write('ak.pub', ak.publicArea);
      await tpm.write('quote.msg', attest);
      await tpm.write('quote.sig', signature);
    }
    await tpm
      .tools('tpm2_print', '-t', 'TPM2B_PUBLIC', '-f', 'pem', 'ak.pub')
      .then((pem) => tpm.write('ak.pem', Buffer.from(pem)));
    const check = ['-u', 'ak.pem', '-m', 'quote.msg', '-s', 'quote.sig', '-g', 'sha256'];
    await tpm.tools('tpm2_checkquote', ...check, '-q', nonce);
    await expect(tpm.tools('tpm2_checkquote', ...check, '-q', `00${nonce.slice(2)}`)).rejects.toThrow();
  });

  test('refuses qualifying data that no TPM takes', async () => {
    await using open = await openTpm();
    const ek = await open.context.createEk(encodeEkTemplate(template('L-2')));
    const ak = await open.context.createAk(ek.id, 'policy-secret', encodeAkTemplate('ecc-p256'));
    await expect(open.context.quote(ak.id, new Uint8Array(200), PCRS)).rejects.toThrow(/qualifying data is too long/);
  });
});

describe('the endorsement hierarchy', () => {
  test('with an authorization wants it, and it does not cross the bus', async () => {
    await tpm.tools('tpm2_changeauth', '-c', 'e', 'open sesame');
    try {
      await using proxy = await TpmProxy.start(tpm);
      await using open = await openTpm(proxy.tcti);
      const { context } = open;
      await expect(context.createEk(encodeEkTemplate(template('L-2')))).rejects.toMatchObject({ rc: RC.badAuth });
      await context.setEndorsementAuth(Buffer.from('open sesame'));
      const ek = await context.createEk(encodeEkTemplate(template('L-2')));
      const ak = await context.createAk(ek.id, 'policy-secret', encodeAkTemplate('ecc-p256'));
      expect(ak.name).toHaveLength(34);
      expect(proxy.traffic).not.toContain(Buffer.from('open sesame').toString('hex'));
    } finally {
      await tpm.tools('tpm2_changeauth', '-c', 'e', '-p', 'open sesame');
    }
  });
});

describe('a TPM that answers', () => {
  test('"retry" is asked again', async () => {
    let retries = 8; // more than ESYS makes by itself
    await using proxy = await TpmProxy.start(tpm, { findFailure: () => (retries-- > 0 ? RC.retry : undefined) });
    await using open = await openTpm(proxy.tcti);
    expect(await open.context.readHandles(0x81000000)).not.toEqual([]);
  });

  test('"retry" for ever fails in the end', async () => {
    await using proxy = await TpmProxy.start(tpm, { findFailure: () => RC.retry });
    await using open = await openTpm(proxy.tcti);
    await expect(open.context.readHandles(0x81000000)).rejects.toMatchObject({ rc: RC.retry });
  });

  test('with a failure at any step keeps nothing of ours', async () => {
    let failAt = 0;
    let failed = true;
    for (; failed; failAt++) {
      failed = false;
      const position = failAt;
      let steps = 0;
      await using proxy = await TpmProxy.start(tpm, {
        findFailure: (code) => (code !== COMMAND.flushContext && steps++ === position ? RC.value : undefined),
      });
      const { context } = await openTpm(proxy.tcti);
      try {
        const ek = await context.createEk(encodeEkTemplate(template('L-2')));
        const ak = await context.createAk(ek.id, 'policy-secret', encodeAkTemplate('ecc-p256'));
        const credential = makeCredential(requireEndorsementKey(ek.publicArea), ak.name, SECRET);
        await context.activateCredential(
          ak.id,
          ek.id,
          'policy-secret',
          credential.credentialBlob,
          credential.encryptedSecret,
        );
        await context.quote(ak.id, SECRET, PCRS);
      } catch (error) {
        expect(error).toMatchObject({ rc: RC.value });
        failed = true;
      } finally {
        await context.close();
      }
      if (failed) await expectNothingLeft();
    }
    expect(failAt).toBeGreaterThan(10);
  });
});

test('what another context left behind is flushed by its handle', async () => {
  {
    const isSession = (command: Uint8Array) => command.at(-4) === 0x02;
    await using proxy = await TpmProxy.start(tpm, {
      findFailure: (code, command) => (code === COMMAND.flushContext && isSession(command) ? RC.value : undefined),
    });
    await using open = await openTpm(proxy.tcti);
    await open.context.createEk(encodeEkTemplate(template('L-2')));
  }
  expect(await tpm.handles('loaded-session')).toHaveLength(1);
  {
    await using open = await openTpm();
    for (const handle of await open.context.readHandles(0x02000000)) await open.context.flushForeign(handle);
  }
  await expectNothingLeft();
});

describe('a context', () => {
  test('runs commands in the order of the calls', async () => {
    await using open = await openTpm();
    const order: string[] = [];
    await Promise.all([
      open.context.createEk(encodeEkTemplate(template('L-1'))).then(() => order.push('EK')),
      open.context.readHandles(0x81000000).then(() => order.push('handles')),
    ]);
    expect(order).toEqual(['EK', 'handles']);
  });

  test('takes no work once it was closed', async () => {
    const { context } = await openTpm();
    await context.close();
    expect(() => context.readHandles(0x81000000)).toThrow(/closed/);
    expect(() => context.close()).toThrow(/closed/);
  });

  test('finishes what had begun when it is closed, and rejects what had not', async () => {
    const { context } = await openTpm();
    const begun = context.createEk(encodeEkTemplate(template('L-1')));
    const waiting = context.readHandles(0x81000000);
    const results = Promise.allSettled([begun, waiting]);
    await context.close();
    const [, second] = await results;
    expect(second).toMatchObject({ status: 'rejected', reason: { message: 'the TPM is closed' } });
    await expectNothingLeft();
  });

  test('needs to be opened', async () => {
    const context = new TpmContext(tpm.tcti);
    await expect(context.readHandles(0x81000000)).rejects.toThrow(/not open/);
    await context.close();
  });

  test('uses no key after it was flushed', async () => {
    await using open = await openTpm();
    const ek = await open.context.createEk(encodeEkTemplate(template('L-2')));
    await open.context.flush(ek.id);
    await expect(open.context.createAk(ek.id, 'policy-secret', encodeAkTemplate('ecc-p256'))).rejects.toThrow(
      /not loaded/,
    );
  });

  test.each([
    ['a number for bytes', (context: NativeTpmContext) => Reflect.apply(context.createEk, context, [1])],
    ['text for a number', (context: NativeTpmContext) => Reflect.apply(context.readNv, context, ['1'])],
    [
      'an unknown authorization',
      (context: NativeTpmContext) => Reflect.apply(context.createAk, context, [1, 'x', SECRET]),
    ],
  ])('refuses %s', async (_rule, call) => {
    await using open = await openTpm();
    expect(() => call(open.context)).toThrow(/expected/);
  });
});

describe('a TPM that lies', () => {
  const GET_CAPABILITY = 0x17a;
  const PCR_READ = 0x17e;
  const CAPABILITY = { handles: 1, properties: 6 } as const;
  /** A response of TPM2_GetCapability: more to come, the capability, and its numbers after their count. */
  const capability = (kind: number, count: number, ...numbers: readonly number[]) => {
    const response = Buffer.alloc(19 + 4 * numbers.length);
    response.writeUInt16BE(0x8001);
    response.writeUInt32BE(response.length, 2);
    response[10] = 1;
    response.writeUInt32BE(kind, 11);
    response.writeUInt32BE(count, 15);
    for (const [index, number] of numbers.entries()) response.writeUInt32BE(number, 19 + 4 * index);
    return response;
  };
  const kindOf = (command: Uint8Array) => Buffer.from(command).readUInt32BE(10);
  const propertyOf = (command: Uint8Array) => Buffer.from(command).readUInt32BE(14);

  test('that it has the same handle again and again', async () => {
    await using proxy = await TpmProxy.start(tpm, {
      changeResponse: (code, response, command) =>
        code === GET_CAPABILITY && kindOf(command) === CAPABILITY.handles
          ? capability(CAPABILITY.handles, 1, 0x01000007)
          : response,
    });
    await using open = await openTpm(proxy.tcti);
    await expect(open.context.readHandles(0x01000000)).rejects.toThrow(/does not list its handles in order/);
  });

  test('that it has handles without end', async () => {
    await using proxy = await TpmProxy.start(tpm, {
      changeResponse: (code, response, command) =>
        code === GET_CAPABILITY && kindOf(command) === CAPABILITY.handles
          ? capability(CAPABILITY.handles, 1, propertyOf(command))
          : response,
    });
    await using open = await openTpm(proxy.tcti);
    await expect(open.context.readHandles(0x01000000)).rejects.toThrow(/lists more than 1024 handles/);
  });

  test.each([
    ['of none', '000000'],
    ['of others than were asked for', '000400'],
  ])('that it read PCRs %s', async (_what, bits) => {
    await using proxy = await TpmProxy.start(tpm, {
      changeResponse: (code, response) => {
        if (code !== PCR_READ) return response;
        const changed = Buffer.from(response);
        changed.write(bits, 21, 'hex'); // after the header, the counter, one selection's hash and size
        return changed;
      },
    });
    await using open = await openTpm(proxy.tcti);
    await expect(open.context.readPcrs(PCRS)).rejects.toThrow(/other PCRs than it was asked for/);
  });

  test('that it gives no byte of NV at a time', async () => {
    await tpm.writeNv('0x01c08101', Uint8Array.of(1, 2, 3));
    await using proxy = await TpmProxy.start(tpm, {
      changeResponse: (code, response, command) =>
        code === GET_CAPABILITY && kindOf(command) === CAPABILITY.properties && propertyOf(command) === 0x12c
          ? capability(CAPABILITY.properties, 1, 0x12c, 0)
          : response,
    });
    await using open = await openTpm(proxy.tcti);
    await expect(open.context.readNv(0x01c08101)).rejects.toThrow(/reads no NV bytes at a time/);
  });
});
