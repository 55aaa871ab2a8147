import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { ImitatedVault, SECRETS } from '../plugins/hashicorp-vault/imitated-vault.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const resources = new AsyncDisposableStack();
let vault: ImitatedVault;
beforeAll(async () => {
  vault = resources.use(await ImitatedVault.start());
});
afterAll(() => resources.disposeAsync());

const logIn = () => `vault_addr = "${vault.url}"
  approle_auth { approle_id = "${SECRETS.roleId}" approle_secret_id = "${SECRETS.secretId}" }`;
const keyManager = (identifier: string) =>
  `KeyManager "hashicorp_vault" { plugin_data { ${logIn()}\n ${identifier} } }\n  NodeAttestor "join_token" {}`;

test('a server has its keys in a Vault: agents join, and it is the same one after a restart', async () => {
  await using domain = await TestDomain.start({ plugins: keyManager('key_identifier_value = "server-1"') });
  {
    await using agent = await domain.startAgent();
    expect(agent.running.agentId).toContain('/spire/agent/join_token/');
  }
  const ids = async () => {
    const bundle = await domain.server.admin(BundleDefinition).getBundle({ outputMask: undefined });
    return bundle.jwtAuthorities.map(({ keyId }) => keyId);
  };
  const before = await ids();
  await domain.stopServer();
  await domain.startServer({ plugins: keyManager('key_identifier_value = "server-1"') });
  expect(await ids()).toEqual(before);
  const jwt = authoritySteps(domain.server, 'JWT');
  await jwt.activate(await jwt.prepare());
  await using again = await domain.startAgent('again');
  expect(again.running.agentId).toContain('/spire/agent/join_token/');
  expect([...vault.transit.keys.keys()].every((name) => name.startsWith('server-1-'))).toBe(true);
  expect(JSON.stringify(domain.server.records)).not.toMatch(/secret-of-servers|hvs\./);
});

test('a server has its CA from a Vault: its bundle is the Vault’s root', async () => {
  const plugins = `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  UpstreamAuthority "vault" { plugin_data { ${logIn()} } }`;
  await using domain = await TestDomain.start({ plugins });
  await using agent = await domain.startAgent();
  expect(agent.running.agentId).toContain('/spire/agent/join_token/');
  const { x509Authorities } = await domain.server.admin(BundleDefinition).getBundle({ outputMask: undefined });
  expect(x509Authorities.map(({ asn1 }) => Buffer.from(asn1))).toEqual([Buffer.from(vault.pki.root.der)]);
  expect(parseCertificate(vault.pki.root.der).isCa).toBe(true);
  expect(vault.asked).toContain('POST pki/root/sign-intermediate');
});
