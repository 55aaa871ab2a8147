import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { AcmeFiles } from '../../src/acme/acme-files.ts';
import { orderCertificate } from '../../src/acme/acme-order.ts';
import { loadAcmeLibrary } from '../../src/acme/load-acme-library.ts';
import { TlsAlpnChallenge } from '../../src/acme/tls-alpn-challenge.ts';
import { Logger } from '../../src/log/logger.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { type AcmeServer, startAcmeServer } from '../harness/acme-server.ts';
import { freePort } from '../harness/free-port.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { startOidcProgram } from '../oidc/oidc-program.ts';

const run = promisify(execFile);
const DOMAIN = 'bundles.example.org';
const WAIT = { timeout: 40_000, interval: 200 };

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

async function startAcme(challengePort: number, validitySeconds: number): Promise<AcmeServer> {
  return await startAcmeServer({ challengePort, validitySeconds });
}

async function startServer(folder: TemporaryFolder, port: number, acme: AcmeServer): Promise<ServerProcess> {
  return await ServerProcess.start({
    folder: folder.path,
    settings: `federation {
      bundle_endpoint {
        address = "127.0.0.1"
        port = ${port}
        profile "https_web" {
          acme {
            directory_url = "${acme.directoryUrl}"
            domain_name = "${DOMAIN}"
            email = "admin@example.org"
            tos_accepted = true
          }
        }
      }
    }`,
    env: { NODE_EXTRA_CA_CERTS: acme.apiCaPath },
  });
}

/** The bundle, as whoever trusts the ACME server's root gets it. */
async function fetchBundle(port: number, { rootPath }: AcmeServer): Promise<string> {
  const resolve = ['--resolve', `${DOMAIN}:${port}:127.0.0.1`];
  const { stdout } = await run('curl', [
    '--silent',
    '--show-error',
    '--fail',
    '--cacert',
    rootPath,
    ...resolve,
    `https://${DOMAIN}:${port}/`,
  ]);
  return stdout;
}

async function serialNumber(port: number): Promise<string> {
  const running = run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', DOMAIN]);
  running.child.stdin?.end();
  const { stdout } = await running;
  const parsing = run('openssl', ['x509', '-noout', '-serial']);
  parsing.child.stdin?.end(stdout);
  return (await parsing).stdout;
}

describeWithGo('a bundle endpoint with a certificate of Pebble', () => {
  test('answers the challenge on its own port, and partners while it renews', { timeout: 120_000 }, async () => {
    const folder = resources.use(await createTemporaryFolder());
    const port = await freePort();
    const acme = resources.use(await startAcme(port, 18));
    const server = resources.use(await startServer(folder, port, acme));
    await server.program.waitFor('a certificate was had from the ACME server');
    expect(JSON.parse(await fetchBundle(port, acme))).toMatchObject({
      keys: [{ use: 'x509-svid' }, { use: 'jwt-svid' }],
    });
    const first = await serialNumber(port);
    let fetched = 0;
    await expect
      .poll(async () => {
        await fetchBundle(port, acme); // fails the test where a partner is refused
        fetched += 1;
        return await serialNumber(port);
      }, WAIT)
      .not.toBe(first);
    expect(fetched).toBeGreaterThan(3);
    expect(await fetchBundle(port, acme)).toContain('x509-svid');
  });

  test('keeps account and certificate for the next run, for its own user alone', { timeout: 120_000 }, async () => {
    const folder = resources.use(await createTemporaryFolder());
    const port = await freePort();
    const acme = await startAcme(port, 86_400);
    {
      await using server = await startServer(folder, port, acme);
      await server.program.waitFor('a certificate was had from the ACME server');
    }
    const kept = folder.join('data/bundle-acme');
    expect((await stat(kept)).mode & 0o777).toBe(0o700);
    expect((await readdir(kept)).sort()).toEqual(['account.json', 'certificate.json']);
    for (const name of await readdir(kept)) expect((await stat(`${kept}/${name}`)).mode & 0o777).toBe(0o600);
    await using again = await startServer(folder, port, acme);
    expect(await fetchBundle(port, acme)).toContain('x509-svid');
    expect(again.program.text).not.toContain('a certificate was had');
    expect(again.program.text).not.toMatch(/PRIVATE KEY/);
    await acme[Symbol.asyncDispose]();
  });
});

describeWithGo('an OIDC provider with a certificate of Pebble', () => {
  test('has one for all of its domains', { timeout: 120_000 }, async () => {
    const folder = resources.use(await createTemporaryFolder());
    const port = await freePort();
    const acme = resources.use(await startAcme(port, 86_400));
    await writeFile(folder.join('bundle.json'), '{"keys": []}');
    const settings = `domains = ["oidc.example.org", "${DOMAIN}"]
      file { path = "${folder.join('bundle.json')}" }
      acme {
        addr = "127.0.0.1:${port}"
        directory_url = "${acme.directoryUrl}"
        email = "admin@example.org"
        tos_accepted = true
        cache_dir = "${folder.join('acme')}"
      }`;
    const provider = resources.use(
      await startOidcProgram({ folder: folder.path, settings, env: { NODE_EXTRA_CA_CERTS: acme.apiCaPath } }),
    );
    await provider.program.waitFor('a certificate was had from the ACME server');
    for (const domain of ['oidc.example.org', DOMAIN]) {
      const { stdout } = await run('curl', [
        ...['--silent', '--show-error', '--fail', '--cacert', acme.rootPath],
        ...['--resolve', `${domain}:${port}:127.0.0.1`, `https://${domain}:${port}/.well-known/openid-configuration`],
      ]);
      expect(JSON.parse(stdout)).toMatchObject({ issuer: `https://${domain}:${port}` });
    }
    expect((await readdir(folder.join('acme'))).sort()).toEqual(['account.json', 'certificate.json']);
  });
});

describeWithGo('an order that comes to nothing', () => {
  const log = new Logger(() => {});
  const order = async (
    acme: AcmeServer,
    changes: { directoryUrl?: string; tosAccepted?: boolean; domainNames?: readonly string[] },
  ) => {
    const folder = resources.use(await createTemporaryFolder());
    (await loadAcmeLibrary()).axios.defaults.httpsAgent = new Agent({ ca: acme.apiCa });
    const { directoryUrl } = acme;
    const config = { directoryUrl, domainNames: [DOMAIN], email: 'a@example.org', tosAccepted: true, ...changes };
    const files = new AcmeFiles(folder.path, config.directoryUrl);
    const ordered = orderCertificate(
      { config, files, challenge: new TlsAlpnChallenge(), log },
      AbortSignal.timeout(30_000),
    );
    return await ordered.then(
      () => 'a certificate',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  };

  test('says why', { timeout: 120_000 }, async () => {
    const acme = resources.use(await startAcme(await freePort(), 60));
    expect(await order(acme, { tosAccepted: false })).toMatch(
      /^the terms of service of https:\/\/localhost:\d+\/dir are not accepted: read "data:text\/plain,.*" and set tos_accepted = true$/,
    );
    expect(await order(acme, {})).toMatch(
      /^the ACME server does not accept the challenge: "Failed to connect to 127\.0\.0\.1:\d+ for the tls-alpn-01 challenge"$/,
    );
    expect(await order(acme, { domainNames: ['no dots'] })).toMatch(/illegal character/);
    const nobody = createServer().listen(0, '127.0.0.1');
    await once(nobody, 'listening');
    const { port } = nobody.address() as AddressInfo;
    nobody.close();
    expect(await order(acme, { directoryUrl: `https://127.0.0.1:${port}/dir` })).toMatch(/ECONNREFUSED/);
    expect(await order({ ...acme, apiCa: '' }, {})).toMatch(/self-signed|unable to verify|certificate/i);
  });
});
