import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { CA_EXTENSIONS, LEAF_EXTENSIONS, OpensslCertificates } from '../harness/openssl-certificates.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { SshKeys } from '../harness/ssh-keys.ts';

// Whole servers and agents with x509pop, sshpop and http_challenge, each half in its sandbox.

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 }); // servers, agents and their plugins

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let domain: TestDomain;

const attestor = (name: string, ...settings: readonly string[]) => `KeyManager "memory" {}
  NodeAttestor "${name}" {
    plugin_data {
      ${settings.join('\n      ')}
    }
  }
  WorkloadAttestor "unix" {}`;
const startAgent = (name: string, plugins: string, of = domain): Promise<TestAgent> =>
  of.startAgent(name, { settings: '', plugins });
const idOf = (agent: TestAgent) => agent.records.find(({ message }) => message === 'agent is ready')?.fields.spiffe_id;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  const certificates = new OpensslCertificates(folder);
  certificates.issue({ name: 'ca', extensions: CA_EXTENSIONS });
  const extensions = [...LEAF_EXTENSIONS, 'subjectAltName=IP:127.0.0.1'];
  certificates.issue({ name: 'node', subject: '/CN=rack-7', issuer: 'ca', extensions });
  const ssh = new SshKeys(folder);
  ssh.generate('host-ca');
  ssh.generate('host', 'rsa', '-b', '2048');
  ssh.sign('host', { by: 'host-ca' });
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}
  NodeAttestor "x509pop" {
    plugin_data {
      ca_bundle_path = "${folder.join('ca.pem')}"
      agent_path_template = "/{{ .PluginName }}/{{ .Subject.CommonName }}"
      verify_client_ip = true
    }
  }
  NodeAttestor "sshpop" {
    plugin_data {
      cert_authorities = ["${ssh.publicKey('host-ca')}"]
      canonical_domain = "example.org"
      agent_path_template = "/{{ .PluginName }}/{{ .Hostname }}"
    }
  }
  NodeAttestor "http_challenge" {
    plugin_data {
      allowed_networks = ["127.0.0.0/8"]
    }
  }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

test('an agent attests with the key of a certificate, from the address in it', async () => {
  const files = [`certificate_path = "${folder.join('node.pem')}"`, `private_key_path = "${folder.join('node.key')}"`];
  await using agent = await startAgent('x509pop', attestor('x509pop', ...files));
  expect(idOf(agent)).toBe('spiffe://example.org/spire/agent/x509pop/rack-7');
});

test('an agent attests with its SSH host key', async () => {
  const files = [`host_key_path = "${folder.join('host')}"`, `host_cert_path = "${folder.join('host-cert.pub')}"`];
  await using agent = await startAgent('sshpop', attestor('sshpop', ...files));
  expect(idOf(agent)).toBe('spiffe://example.org/spire/agent/sshpop/host');
});

test('an agent attests by serving a challenge, once, and again after it was evicted', async () => {
  const plugins = attestor('http_challenge', 'hostname = "127.0.0.1"');
  const id = parseSpiffeId('spiffe://example.org/spire/agent/http_challenge/127.0.0.1');
  {
    await using first = await startAgent('http-first', plugins);
    expect(idOf(first)).toBe(id);
  } // stopped, or it would be the one that is let in again
  await expect(startAgent('http-second', plugins)).rejects.toThrow(/has attested before, and attests once only/);
  await domain.evict(id);
  await using third = await startAgent('http-third', plugins);
  expect(idOf(third)).toBe(id);
});

test('an agent attests with the X.509-SVID that another agent of the trust domain gives it', async () => {
  await using exchanging = await TestDomain.start({
    plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  NodeAttestor "x509pop" {
    plugin_data {
      mode = "spiffe"
    }
  }`,
  });
  await exchanging.createEntry('/spire-exchange/rack/7');
  await using below = await exchanging.startAgent('below');
  const socket = `spiffe_endpoint_socket = "unix://${below.running.socketPath}"`;
  await using agent = await startAgent('above', attestor('x509pop', socket), exchanging);
  expect(idOf(agent)).toBe('spiffe://example.org/spire/agent/x509pop/rack/7');
});
