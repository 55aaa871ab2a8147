import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePem, encodePem } from '../../src/x509/pem.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { issueX509Svid } from '../../src/x509/svid-template.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from '../server/callers.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 600_000 }); // servers, an agent, and a Go build

const run = promisify(execFile);
const HOUR_MS = 3_600_000;

describeWithGo('nested with what spire-api-sdk and go-spiffe make', () => {
  const resources = new AsyncDisposableStack();
  let program: string;
  let files: AuthorityFolder;
  let root: MadeCa;
  let domain: TestDomain;
  let agent: TestAgent;

  beforeAll(async () => {
    program = await buildGo(fileURLToPath(new URL('server-api', import.meta.url)), 'nesting');
    files = resources.use(new AuthorityFolder());
    chmodSync(files.path, 0o755);
    root = files.root('root', {
      extensions: [
        'basicConstraints = critical, CA:TRUE',
        'keyUsage = critical, keyCertSign, cRLSign',
        'subjectAltName = URI:spiffe://example.org',
      ],
    });
    domain = resources.use(
      await TestDomain.start({
        plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  UpstreamAuthority "disk" { plugin_data { cert_file_path = "${root.certificate}" key_file_path = "${root.key}" } }`,
      }),
    );
    await domain.createEntry('/server-below', { downstream: true });
    agent = resources.use(await domain.startAgent());
  });
  afterAll(() => resources.disposeAsync());

  test('a client as SPIRE’s nested server is one below ours: a CA, a JWT key, the bundle', async () => {
    const [own] = domain.server.running.bundle.jwtAuthorities;
    const { stdout } = await run(program, ['below', agent.running.socketPath, `127.0.0.1:${domain.port}`], {
      timeout: 90_000,
    });
    expect(JSON.parse(stdout)).toEqual({
      chain: 2, // the CA, and that of the server, which hangs on the root
      isCA: true,
      seconds: 900,
      svid: 'spiffe://example.org/workload',
      keys: [own?.keyId, 'from-go'],
      roots: 1,
    });
    expect(domain.server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId)).toContain('from-go');
  });

  test('our server is one below a server made with SPIRE’s API', async () => {
    const { certificate, key } = await serverSvid();
    await using above = await TestProcess.start(program, ['above', certificate, key, root.certificate, root.key]);
    const port = Number((await above.readLine())?.split(':').at(-1));
    await using folder = await createTemporaryFolder();
    await using below = await TestServer.start({
      folder: folder.path,
      settings: 'ca_ttl = "2h"',
      plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  UpstreamAuthority "spire" {
    plugin_data { server_address = "127.0.0.1" server_port = "${port}" workload_api_socket = "${agent.running.socketPath}" }
  }`,
    });
    const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
    const { svid } = await below.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
    const [leaf = new Uint8Array(), ca = new Uint8Array(), ...more] = svid?.certChain ?? [];
    expect(more).toEqual([]);
    const [leafFile, caFile] = [
      files.write('leaf.pem', encodePem('CERTIFICATE', leaf)),
      files.write('ca.pem', encodePem('CERTIFICATE', ca)),
    ];
    expect(files.run('verify', '-CAfile', root.certificate, '-untrusted', caFile, leafFile)).toMatch(/OK/);
    const { x509Authorities, jwtAuthorities } = below.running.bundle;
    expect(x509Authorities.map((one) => encodePem('CERTIFICATE', one.certificate))).toEqual([
      readFileSync(root.certificate, 'utf8'),
    ]);
    expect(jwtAuthorities).toHaveLength(1);
  });

  /** The identity of a server, as files. */
  async function serverSvid(): Promise<{ readonly certificate: string; readonly key: string }> {
    const [der = new Uint8Array()] = decodePem(readFileSync(root.certificate, 'utf8'), 'CERTIFICATE');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signer = signerOfKeyObject(createPrivateKey(readFileSync(root.key)));
    const svid = await issueX509Svid({
      issuer: { signer, certificate: parseCertificate(der) },
      subjectPublicKeyInfo: signerOfKeyObject(privateKey).publicKey,
      spiffeId: 'spiffe://example.org/spire/server',
      dnsNames: [],
      serialNumber: Buffer.alloc(16, 1),
      notBefore: new Date(Date.now() - 10_000),
      notAfter: new Date(Date.now() + HOUR_MS),
    });
    return {
      certificate: files.write('server.pem', encodePem('CERTIFICATE', svid)),
      key: files.write('server.key', String(privateKey.export({ type: 'pkcs8', format: 'pem' }))),
    };
  }
});
