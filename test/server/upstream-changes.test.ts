import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { isValidX509Svid } from '../../src/spiffe/trusted-svid.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import type { Script } from '../interop/sdk-plugins/scripted-upstream.ts';
import { newCsr } from './callers.ts';

vi.setConfig({ testTimeout: 90_000 }); // a server and its plugins

const SOON = { timeout: 60_000, interval: 200 };

let files: AuthorityFolder;
let folder: TemporaryFolder;
let cas: Readonly<Record<'one' | 'two', MadeCa>>;
let server: TestServer;
let offsetMs = 0;

beforeEach(async () => {
  files = new AuthorityFolder();
  chmodSync(files.path, 0o755);
  folder = await createTemporaryFolder();
  cas = { one: files.root('one'), two: files.root('two') };
  offsetMs = 0;
  tell({});
  server = await startServer();
});
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  files[Symbol.dispose]();
  await folder[Symbol.asyncDispose]();
});

async function startServer(): Promise<TestServer> {
  const plugin = JSON.stringify([`${import.meta.dirname}/../interop/sdk-plugins/scripted-upstream.ts`, scriptPath()]);
  return await TestServer.start({
    folder: folder.path,
    settings: 'ca_ttl = "24h"',
    plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  UpstreamAuthority "scripted" { plugin_cmd = "${process.execPath}" plugin_args = ${plugin} }`,
    clock: () => new Date(Date.now() + offsetMs),
  });
}

const scriptPath = () => `${files.path}/script.json`;

/** Changes what the upstream authority does. */
function tell(script: Partial<Script>): void {
  const of = ({ certificate, key }: MadeCa) => ({
    certificate: readFileSync(certificate, 'utf8'),
    key: readFileSync(key, 'utf8'),
  });
  const whole: Script = { cas: { one: of(cas.one), two: of(cas.two) }, signs: 'one', trusted: ['one'], ...script };
  writeFileSync(`${scriptPath()}.new`, JSON.stringify(whole));
  renameSync(`${scriptPath()}.new`, scriptPath());
}

/** The roots of the server's bundle by name, tainted ones with a star. */
function roots(): readonly string[] {
  return server.running.bundle.x509Authorities.map(({ certificate, tainted }) => {
    const [name = '?'] = Object.entries(cas).find(([, ca]) => Buffer.compare(derOf(ca), certificate) === 0) ?? [];
    return tainted ? `${name}*` : name;
  });
}

const derOf = ({ certificate }: MadeCa) =>
  decodePem(readFileSync(certificate, 'utf8'), 'CERTIFICATE')[0] ?? Buffer.of();

/** Which of the CAs above an SVID of this moment hangs on. */
async function hangsOn(): Promise<string> {
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  const by = (ca: MadeCa): Bundle => ({
    ...server.running.bundle,
    x509Authorities: [{ certificate: derOf(ca), tainted: false }],
  });
  const names = Object.entries(cas).filter(([, ca]) =>
    isValidX509Svid(svid?.certChain ?? [], by(ca), new Date(Date.now() + offsetMs)),
  );
  return names.map(([name]) => name).join();
}

const logged = (pattern: RegExp) =>
  server.records.filter(({ message, fields }) => pattern.test(`${message} ${fields.error ?? ''}`)).length;

test('a root that is tainted above: another CA first, then the taint in the bundle; a revoked one leaves the bundle', async () => {
  const order: string[] = [];
  tell({ signs: 'two', trusted: ['one', 'two'] });
  await expect.poll(roots, SOON).toEqual(['one', 'two']);
  expect(await hangsOn()).toBe('one');
  const watch = setInterval(async () => order.push(`${roots().join()} ${await hangsOn().catch(() => '')}`), 20);
  tell({ signs: 'two', trusted: ['one', 'two'], tainted: ['one'] });
  await expect.poll(roots, SOON).toEqual(['one*', 'two']);
  clearInterval(watch);
  expect(await hangsOn()).toBe('two');
  expect(order).not.toContain('one*,two one');
  tell({ signs: 'two', trusted: ['two'] });
  await expect.poll(roots, SOON).toEqual(['two']);
});

test('an upstream that signs below a tainted root all the same: what there is signs on, and the taint waits', async () => {
  tell({ signs: 'one', trusted: ['one', 'two'], tainted: ['one'] });
  await expect.poll(() => logged(/could not be replaced.*signs below a root that is tainted/), SOON).toBeGreaterThan(1);
  expect(await hangsOn()).toBe('one');
  expect(roots()).toEqual(['one', 'two']);
  tell({ signs: 'two', trusted: ['one', 'two'], tainted: ['one'] });
  await expect.poll(roots, SOON).toEqual(['one*', 'two']);
  expect(await hangsOn()).toBe('two');
});

test('a root that is gone above without a taint: another CA, and the root stays for what hangs on it', async () => {
  tell({ signs: 'two', trusted: ['two'] });
  await expect.poll(hangsOn, SOON).toBe('two');
  expect(roots()).toEqual(['one', 'two']);
});

test('a rotation that is due while the upstream is away is tried again, and breaks nothing', async () => {
  const steps = authoritySteps(server, 'X509');
  const active = await steps.active();
  tell({ refuses: 'the upper server does not answer' });
  await expect(steps.prepare()).rejects.toThrow(
    /failed to prepare X.509 authority: the upstream authority "scripted" did not do its part: .*the upper server does not answer/,
  );
  offsetMs = 13 * 3600 * 1000; // past half of the CA's life
  await expect.poll(() => logged(/rotation.*failed|failed.*upper server does not answer/i), SOON).toBeGreaterThan(0);
  expect(await steps.active()).toBe(active);
  expect(await hangsOn()).toBe('one');
  offsetMs = 0;
  tell({});
  const prepared = await steps.prepare();
  await steps.activate(prepared);
  expect(await hangsOn()).toBe('one');
});

test('JWT keys of others come and go as above; one that was revoked here does not come back', async () => {
  const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .publicKey.export({ type: 'spki', format: 'der' })
    .toString('base64');
  const keys = [{ keyId: 'other', publicKey }];
  const keyIds = () =>
    server.running.bundle.jwtAuthorities.map(({ keyId, tainted }) => (tainted ? `${keyId}*` : keyId));
  const [own = ''] = keyIds();
  tell({ keys });
  await expect.poll(keyIds, SOON).toEqual([own, 'other']);
  tell({ keys: [{ keyId: 'other', publicKey, tainted: true }] });
  await expect.poll(keyIds, SOON).toEqual([own, 'other*']);
  tell({ keys: [] });
  await expect.poll(keyIds, SOON).toEqual([own]);
  tell({
    keys: [
      { keyId: 'other', publicKey },
      { keyId: 'third', publicKey },
    ],
  });
  await expect.poll(keyIds, SOON).toEqual([own, 'third']);
});

test('a root that was revoked here does not come back while the PKI above still trusts it, and no CA below it is taken', async () => {
  const [api, steps] = [server.admin(LocalAuthorityDefinition), authoritySteps(server, 'X509')];
  tell({ signs: 'two', trusted: ['one', 'two'] });
  await expect.poll(roots, SOON).toEqual(['one', 'two']);
  await steps.activate(await steps.prepare());
  const { old } = await api.getX509AuthorityState({});
  const subjectKeyId = old?.upstreamAuthoritySubjectKeyId ?? '';
  await api.taintX509UpstreamAuthority({ subjectKeyId });
  await api.revokeX509UpstreamAuthority({ subjectKeyId });
  expect(roots()).toEqual(['two']);
  tell({ signs: 'one', trusted: ['two', 'one'] });
  await expect.poll(() => logged(/trusts a root that was revoked here/), SOON).toBe(1);
  await expect(steps.prepare()).rejects.toThrow('signs below a root that was revoked here');
  expect([roots(), await hangsOn()]).toEqual([['two'], 'two']);
  tell({ signs: 'two', trusted: ['one', 'two'] });
  await steps.prepare();
  expect([roots(), logged(/trusts a root that was revoked here/)]).toEqual([['two'], 1]);
  await server[Symbol.asyncDispose]();
  server = await startServer();
  await expect.poll(() => logged(/trusts a root that was revoked here/), SOON).toBe(1);
  expect([roots(), await hangsOn()]).toEqual([['two'], 'two']);
});

test('a root without a subject key identifier is as good as others', async () => {
  const extensions = ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign'];
  cas = { ...cas, two: files.root('plain', { extensions: [...extensions, 'subjectKeyIdentifier = none'] }) };
  tell({ signs: 'two', trusted: ['one', 'two'] });
  const steps = authoritySteps(server, 'X509');
  await steps.activate(await steps.prepare());
  expect([roots(), await hangsOn()]).toEqual([['one', 'two'], 'two']);
});

test('of the steps of an authority, taint and revocation are the upstream’s', async () => {
  const api = server.admin(LocalAuthorityDefinition);
  const { active } = await api.getX509AuthorityState({});
  const authorityId = active?.authorityId ?? '';
  await expect(api.taintX509Authority({ authorityId })).rejects.toThrow(
    "local authority can't be tainted if there is an upstream authority",
  );
  const subjectKeyId = active?.upstreamAuthoritySubjectKeyId ?? '';
  await expect(api.taintX509UpstreamAuthority({ subjectKeyId })).rejects.toThrow(/signing current authority/);
});
