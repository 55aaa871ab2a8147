import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import type { X509SVID } from '../../src/gen/spire/api/types/types.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { newCsr } from './callers.ts';

vi.setConfig({ testTimeout: 90_000 }); // servers and plugins

let files: AuthorityFolder;
let folder: TemporaryFolder;
let root: MadeCa;
beforeEach(async () => {
  files = new AuthorityFolder();
  chmodSync(files.path, 0o755);
  folder = await createTemporaryFolder();
  root = files.root('root');
});
afterEach(async () => {
  files[Symbol.dispose]();
  await folder[Symbol.asyncDispose]();
});

const read = (path: string) => readFileSync(path, 'utf8');

function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

function start(upstream: string, settings = ''): Promise<TestServer> {
  const keys = `KeyManager "disk" { plugin_data { keys_path = "${folder.join('keys.json')}" } }`;
  return TestServer.start({
    folder: folder.path,
    settings,
    plugins: `${keys}\n  NodeAttestor "join_token" {}\n  UpstreamAuthority ${upstream}`,
  });
}

const disk = ({ certificate, key }: MadeCa, bundle = '') =>
  `"disk" { plugin_data { cert_file_path = "${certificate}" key_file_path = "${key}" bundle_file_path = "${bundle}" } }`;

async function mint(server: TestServer): Promise<X509SVID> {
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  if (svid === undefined) throw new Error('no SVID was answered');
  return svid;
}

/** An SVID with its chain, by the openssl command line. */
function verify({ certChain: [leaf = new Uint8Array(), ...chain] }: X509SVID, roots: string): string {
  const svid = files.write('svid.pem', encodePem('CERTIFICATE', leaf));
  const untrusted = files.write('untrusted.pem', chain.map((der) => encodePem('CERTIFICATE', der)).join(''));
  return files.run('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', roots, '-untrusted', untrusted, svid);
}

const rootsOf = (server: TestServer) =>
  server.running.bundle.x509Authorities.map(({ certificate }) => encodePem('CERTIFICATE', certificate));

describe('below a CA on disk', () => {
  test('the root of the trust domain is the CA above, and SVIDs come with the chain that leads there', async () => {
    await using server = await start(disk(root));
    const svid = await mint(server);
    expect(svid.certChain).toHaveLength(2);
    expect(verify(svid, root.certificate)).toMatch(/OK/);
    expect(rootsOf(server)).toEqual([read(root.certificate)]);
    expect(server.running.bundle.jwtAuthorities).toHaveLength(1);
  });

  test('a start anew goes on with the CA that there is', async () => {
    let issuer: Uint8Array | undefined;
    {
      await using server = await start(disk(root));
      [, issuer] = (await mint(server)).certChain;
    }
    await using server = await start(disk(root));
    expect((await mint(server)).certChain[1]).toEqual(issuer);
  });

  test('that is replaced, the CA of the server is replaced too, and what was signed before stays valid', async () => {
    const next = files.root('next');
    const used = { ...root, certificate: `${files.path}/used.pem`, key: `${files.path}/used.key` };
    replace(used.certificate, read(root.certificate));
    replace(used.key, read(root.key));
    await using server = await start(disk(used));
    const before = await mint(server);
    replace(used.certificate, read(next.certificate));
    replace(used.key, read(next.key));
    await expect.poll(async () => verifies(await mint(server), next.certificate), { timeout: 30_000 }).toBe(true);
    expect(rootsOf(server)).toEqual([read(root.certificate), read(next.certificate)]);
    expect(verify(before, files.write('both.pem', rootsOf(server).join('')))).toMatch(/OK/);
  });

  test('an intermediate is part of every chain', async () => {
    const intermediate = files.below(root, 'intermediate');
    await using server = await start(disk(intermediate, root.certificate));
    const svid = await mint(server);
    expect(svid.certChain).toHaveLength(3);
    expect(verify(svid, root.certificate)).toMatch(/OK/);
  });

  test('a server that signed its own CA before has it signed above now', async () => {
    {
      await using alone = await TestServer.start({
        folder: folder.path,
        plugins: `KeyManager "disk" { plugin_data { keys_path = "${folder.join('keys.json')}" } }\n  NodeAttestor "join_token" {}`,
      });
      expect((await mint(alone)).certChain).toHaveLength(1);
    }
    await using server = await start(disk(root));
    await expect.poll(async () => verifies(await mint(server), root.certificate), { timeout: 30_000 }).toBe(true);
    expect(rootsOf(server)).toHaveLength(2);
  });
});

function verifies(svid: X509SVID, roots: string): boolean {
  try {
    return /OK/.test(verify(svid, roots));
  } catch {
    return false;
  }
}

test('a start is refused with the reason of the upstream authority where there is no CA yet', async () => {
  const plugin = `${import.meta.dirname}/../interop/sdk-plugins/upstream-authority.ts`;
  const upstream = `"above" { plugin_cmd = "${process.execPath}" plugin_args = ["${plugin}"] }`;
  await expect(start(upstream, 'ca_ttl = "7s"')).rejects.toThrow(
    /the upstream authority "above" did not do its part: upstreamauthority\(above\): no CA for you/,
  );
  await expect(start(upstream, 'ca_ttl = "1s"')).rejects.toThrow(/closed the stream before its first message/);
});

describeWithGo('below a plugin in Go', () => {
  test('the CA is signed, JWT keys are published, and the bundle is followed', async () => {
    const command = await goPlugin('upstream-authority');
    await using server = await start(`"above" { plugin_cmd = "${command}" }`, 'ca_ttl = "1h"');
    const svid = await mint(server);
    expect(svid.certChain).toHaveLength(2);
    expect(verify(svid, files.write('roots.pem', rootsOf(server).join('')))).toMatch(/OK/);
    const keyIds = () => server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId);
    await expect.poll(keyIds, { timeout: 30_000 }).toContain('up');
  });
});
