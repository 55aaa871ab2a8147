import { describe, expect, test } from 'vitest';
import { METHOD_GROUPS, methodNames } from '../../src/config/api-methods.ts';
import { readServerConfigText } from './read-text.ts';
import { serverText } from './server-text.ts';

const CALLER = 'callers = ["spiffe://example.org/ns/shop/registrar"]';
const role = (lines: string, name = 'registrar') => `authorization {\nrole "${name}" {\n${lines}\n}\n}`;
const read = (lines: string) => readServerConfigText(serverText(lines)).roles;

describe('roles', () => {
  test('are read with their scope', () => {
    const text = role(`${CALLER}
      methods = ["entries:read", "spire.api.server.entry.v1.Entry/BatchCreateEntry", "entries:read"]
      scope {
        parent_ids = ["spiffe://example.org/spire/server"]
        parent_id_prefixes = ["spiffe://example.org/spire/agent/k8s_psat/one"]
        spiffe_id_prefixes = ["spiffe://example.org/ns/shop"]
        selector_types = ["k8s"]
      }
      grants = ["dns_names"]`);
    expect(read(text)).toEqual([
      {
        name: 'registrar',
        callers: ['spiffe://example.org/ns/shop/registrar'],
        methods: [
          '/spire.api.server.entry.v1.Entry/CountEntries',
          '/spire.api.server.entry.v1.Entry/ListEntries',
          '/spire.api.server.entry.v1.Entry/GetEntry',
          '/spire.api.server.entry.v1.Entry/BatchCreateEntry',
        ],
        scope: {
          parentIds: ['spiffe://example.org/spire/server'],
          parentIdPrefixes: ['spiffe://example.org/spire/agent/k8s_psat/one'],
          spiffeIdPrefixes: ['spiffe://example.org/ns/shop'],
          selectorTypes: ['k8s'],
        },
        grants: ['dns_names'],
      },
    ]);
  });

  test('are none without the block, and may be of a federated trust domain and without a scope', () => {
    expect(read('')).toEqual([]);
    const text = role('callers = ["spiffe://other.test/monitor"]\nmethods = ["agents:read", "bundles:read"]');
    expect(read(text)[0]).toMatchObject({ callers: ['spiffe://other.test/monitor'], scope: undefined, grants: [] });
  });

  test('may have JSON’s form', () => {
    const json = JSON.stringify({
      server: {
        trust_domain: 'example.org',
        data_dir: 'd',
        authorization: { role: { r: { callers: ['spiffe://example.org/a'], methods: ['entries:read'] } } },
      },
      plugins: {
        DataStore: { sql: { plugin_data: { database_type: 'sqlite3', connection_string: 'd' } } },
        KeyManager: { memory: {} },
      },
    });
    expect(readServerConfigText(json).roles[0]?.name).toBe('r');
  });

  const methodsAll = 'methods = ["entries:read"]';
  const scoped = (scope: string, methods = methodsAll) => role(`${CALLER}\n${methods}\nscope {\n${scope}\n}`);
  test.each([
    ['no role', 'authorization {}', /server\.authorization: has no role/],
    ['no caller', role('methods = ["entries:read"]'), /role\.registrar\.callers: is required/],
    ['an empty list of callers', role(`callers = []\n${methodsAll}`), /callers: must name one SPIFFE ID at least/],
    ['a caller that is no SPIFFE ID', role(`callers = ["shop"]\n${methodsAll}`), /callers\[0\]: SPIFFE ID "shop"/],
    ['a wildcard', role(`callers = ["spiffe://example.org/*"]\n${methodsAll}`), /callers\[0\]: path "\/\*" has "\*"/],
    ['a whole trust domain', role(`callers = ["spiffe://example.org"]\n${methodsAll}`), /is a trust domain, not som/],
    [
      'an agent',
      role(`callers = ["spiffe://example.org/spire/agent/x/1"]\n${methodsAll}`),
      /callers\[0\]: is a server's or an agent's SPIFFE ID/,
    ],
    ['no methods', role(CALLER), /methods: is required/],
    ['an empty list of methods', role(`${CALLER}\nmethods = []`), /methods: must name one method or group/],
    [
      'a misspelt group',
      role(`${CALLER}\nmethods = ["entrys:read"]`),
      /methods\[0\]: is neither a group of methods nor a method: did you mean "entries:read"\?/,
    ],
    ['what has no likeness', role(`${CALLER}\nmethods = ["zzzzzz"]`), /groups are entries:read, entries:write, agents/],
    ['every method', role(`${CALLER}\nmethods = ["*"]`), /methods\[0\]: is neither a group/],
    [
      'what only agents call',
      role(`${CALLER}\nmethods = ["svids:sign"]`),
      /cannot be given by a role: it is for agents/,
    ],
    [
      'one method that only agents call',
      role(`${CALLER}\nmethods = ["spire.api.server.entry.v1.Entry/SyncAuthorizedEntries"]`),
      /cannot be given by a role/,
    ],
    ['a misspelt key', scoped('spiffe_id_prefix = ["spiffe://example.org/a"]'), /did you mean "spiffe_id_prefixes"/],
    ['an empty scope', scoped(''), /scope: is empty: give one condition at least/],
    ['an empty condition', scoped('selector_types = []'), /selector_types: must name one type at least/],
    ['a selector for a type', scoped('selector_types = ["k8s:ns"]'), /must be the type of a selector/],
    [
      'another trust domain in a scope',
      scoped('spiffe_id_prefixes = ["spiffe://other.test/a"]'),
      /scope\.spiffe_id_prefixes\[0\]: is not of the trust domain "example\.org"/,
    ],
    ['the whole trust domain', scoped('spiffe_id_prefixes = ["spiffe://example.org"]'), /is the whole trust domain/],
    ['a slash at the end', scoped('spiffe_id_prefixes = ["spiffe://example.org/a/"]'), /ends in a slash/],
    ['reserved IDs', scoped('spiffe_id_prefixes = ["spiffe://example.org/spire"]'), /is reserved for servers and/],
    ['the server below a prefix', scoped('parent_id_prefixes = ["spiffe://example.org/spire"]'), /write "\/spire\/age/],
    ['the server as a prefix', scoped('parent_id_prefixes = ["spiffe://example.org/spire/server"]'), /node aliases/],
    [
      'what no scope limits',
      scoped('selector_types = ["k8s"]', 'methods = ["entries:read", "bundles:write"]'),
      /methods\[1\]: is not limited by any scope/,
    ],
    [
      'join tokens in a scope',
      scoped('selector_types = ["k8s"]', 'methods = ["join-tokens:create"]'),
      /methods\[0\]: is not limited by any scope/,
    ],
    [
      'agents in a scope without parents',
      scoped('selector_types = ["k8s"]', 'methods = ["agents:read"]'),
      /is scoped by the agent, and the scope names none/,
    ],
    [
      'minting in a scope without SPIFFE IDs',
      scoped('selector_types = ["k8s"]', 'methods = ["svids:mint"]'),
      /is scoped by the SPIFFE ID, and the scope names none/,
    ],
    ['an unknown grant', role(`${CALLER}\n${methodsAll}\ngrants = ["root"]`), /grants\[0\]: must be one of "admin"/],
    ['a strange name', role(`${CALLER}\n${methodsAll}`, 'a b'), /is no name of a role/],
    [
      'a name twice',
      `authorization {\nrole "a" {\n${CALLER}\n${methodsAll}\n}\nrole "a" {\n${CALLER}\n${methodsAll}\n}\n}`,
      /callers: is given again/,
    ],
  ])('are refused with %s', (_what, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('are what a Rego policy’s refusal points to', () => {
    expect(() => read('experimental { auth_opa_policy_engine { local { rego_path = "x" } } }')).toThrow(
      /auth_opa_policy_engine: Rego policies are not supported: .* server\.authorization/,
    );
  });
});

test('a method is in one group alone, and is written as a group or by its name', () => {
  const all = Object.values(METHOD_GROUPS).flatMap(({ methods }) => methods);
  expect(new Set(all).size).toBe(all.length);
  expect(methodNames()).toContain('entries:read');
  expect(methodNames()).toContain('spire.api.server.agent.v1.Agent/BanAgent');
});
