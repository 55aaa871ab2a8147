import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ServerProcess } from './server-process.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

const NODE = 'spiffe://example.org/node';

/** @returns its ID */
async function createEntry(name: string, ...flags: readonly string[]): Promise<string> {
  const args = ['-parentID', NODE, '-spiffeID', `spiffe://example.org/${name}`, '-selector', `unix:path:/${name}`];
  const { json } = await server.runJson(['entry', 'create', ...args, ...flags]);
  expect(json.results[0].status).toEqual({ code: 0, message: 'OK' });
  return json.results[0].entry.id;
}

describe('entry create', () => {
  test('prints the entry with every field that was given', async () => {
    const name = randomUUID();
    const given = ['-x509SVIDTTL', '60', '-jwtSVIDTTL=30', '-dns', 'a.example', '-dns', 'b.example', '-hint', 'inner'];
    const more = ['-selector', 'unix:uid:0', '-entryExpiry', '4102444800', '-storeSVID=false', '-entryID', name];
    const flags = [
      '-parentID',
      NODE,
      '-spiffeID',
      `spiffe://example.org/${name}`,
      '--selector',
      'unix:gid:0',
      '--admin',
    ];
    const result = await server.run(['entry', 'create', ...flags, ...given, ...more, '-downstream']);
    expect(result).toEqual({
      code: 0,
      stderr: '',
      stdout: `Entry ID                : ${name}
SPIFFE ID               : spiffe://example.org/${name}
Parent ID               : ${NODE}
Revision                : 0
Downstream              : true
X509-SVID TTL           : 60
JWT-SVID TTL            : 30
Expiration time         : 2100-01-01 00:00:00 +0000 UTC
Selector                : unix:gid:0
Selector                : unix:uid:0
DNS name                : a.example
DNS name                : b.example
Admin                   : true
Hint                    : inner

`,
    });
  });

  test('prints the answer of the API as JSON', async () => {
    const name = randomUUID();
    const flags = ['-parentID', NODE, '-spiffeID', `spiffe://example.org/${name}`, '-selector', 'unix:uid:0'];
    const { json } = await server.runJson(['entry', 'create', ...flags, '-jwtSVIDIncludeJTI']);
    const entry = {
      id: expect.any(String),
      spiffe_id: { trust_domain: 'example.org', path: `/${name}` },
      parent_id: { trust_domain: 'example.org', path: '/node' },
      selectors: [{ type: 'unix', value: 'uid:0' }],
      x509_svid_ttl: 0,
      jwt_svid_ttl: 0,
      federates_with: [],
      admin: false,
      downstream: false,
      expires_at: '0',
      dns_names: [],
      revision_number: '0',
      store_svid: false,
      hint: '',
      created_at: expect.stringMatching(/^\d+$/),
      additional_attributes: { disable_x509_svid_prefetch: false, jwt_svid_include_jti: true },
    };
    expect(json).toEqual({ results: [{ status: { code: 0, message: 'OK' }, entry }] });
  });

  test('makes the server the parent of an entry for nodes', async () => {
    const flags = ['-node', '-spiffeID', `spiffe://example.org/${randomUUID()}`, '-selector', 'tpm:manufacturer:id'];
    const { stdout } = await server.run(['entry', 'create', ...flags]);
    expect(stdout).toContain('Parent ID               : spiffe://example.org/spire/server\n');
  });

  test('tells which entry failed and why, with exit code 1', async () => {
    const name = randomUUID();
    await createEntry(name);
    const flags = ['-parentID', NODE, '-spiffeID', `spiffe://example.org/${name}`, '-selector', `unix:path:/${name}`];
    const { code, stdout, stderr } = await server.run(['entry', 'create', ...flags]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Failed to create the following entry \(code: AlreadyExists, msg: "[^"]+"\):\nEntry ID/);
    expect(stderr).toContain(`SPIFFE ID               : spiffe://example.org/${name}\n`);
    expect(stderr).toMatch(/Error: failed to create one or more entries\n$/);
  });

  const rejected = [
    ['no selector', ['-parentID', NODE, '-spiffeID', `${NODE}/a`], 'give one -selector at least'],
    ['no SPIFFE ID', ['-parentID', NODE, '-selector', 'a:b'], 'give the -spiffeID'],
    ['no parent', ['-spiffeID', NODE, '-selector', 'a:b'], 'give the -parentID'],
    [
      'a node that federates',
      ['-node', '-spiffeID', NODE, '-selector', 'a:b', '-federatesWith', 'b.test'],
      'does not federate',
    ],
    ['a selector without a type', ['-parentID', NODE, '-spiffeID', NODE, '-selector', 'ab'], '"ab" has no colon'],
    ['a parent that is no ID', ['-parentID', 'x', '-spiffeID', NODE, '-selector', 'a:b'], '-parentID: '],
  ] as const;
  test.each(rejected)('refuses %s', async (_what, flags, message) => {
    const { code, stderr } = await server.run(['entry', 'create', ...flags]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
    expect(stderr).toMatch(/^Error: .*\n$/);
  });
});

describe('entry create -data', () => {
  const entry = (name: string) => ({
    spiffe_id: `spiffe://example.org/${name}`,
    parent_id: NODE,
    selectors: [{ type: 'unix', value: `path:/${name}` }],
    x509_svid_ttl: 60,
    dns_names: ['a.example'],
    additional_attributes: { jwt_svid_include_jti: true },
  });

  test('takes a file', async () => {
    const names = [randomUUID(), randomUUID()];
    const path = folder.join('entries.json');
    await writeFile(path, JSON.stringify({ entries: names.map(entry) }));
    const { json } = await server.runJson(['entry', 'create', '-data', path]);
    expect(json.results.map((result: { entry: object }) => result.entry)).toMatchObject([
      { x509_svid_ttl: 60, dns_names: ['a.example'], additional_attributes: { jwt_svid_include_jti: true } },
      { spiffe_id: { path: `/${names[1]}` }, selectors: [{ type: 'unix', value: `path:/${names[1]}` }] },
    ]);
  });

  test('takes standard input, with keys in any case, and tells a key that it does not know', async () => {
    const { spiffe_id, ...rest } = entry(randomUUID());
    const input = JSON.stringify({ Entries: [{ ...rest, SPIFFE_ID: spiffe_id, dns_name: 'x' }] });
    const { code, stdout, stderr } = await server.run(['entry', 'create', '-data', '-'], { input });
    expect(code).toBe(0);
    expect(stdout).toContain(`SPIFFE ID               : ${spiffe_id}\n`);
    expect(stderr).toBe(
      'Warning: standard input: entries[0]: the key "dns_name" is not known and has no effect, did you mean "dns_names"?\n',
    );
  });

  const rejected = [
    ['no JSON', '{', 'standard input is no JSON: '],
    ['no object', '[]', 'standard input is no JSON object'],
    ['no entries', '{}', 'standard input has no "entries"'],
    ['an entry that is no object', '{"entries":[1]}', 'entries[0] is no JSON object'],
    ['a value of another type', '{"entries":[{"spiffe_id":1}]}', 'entries[0]: "spiffe_id" must be a text'],
    ['no SPIFFE ID', '{"entries":[{}]}', 'entries[0]: spiffe_id: '],
    [
      'a life that is too long',
      `{"entries":[{"spiffe_id":"${NODE}","parent_id":"${NODE}","x509_svid_ttl":3000000000}]}`,
      'entries[0]: "x509_svid_ttl" must be a whole number from 0 to 2147483647',
    ],
    [
      'a selector without a type',
      `{"entries":[{"spiffe_id":"${NODE}","parent_id":"${NODE}","selectors":[{"value":"x"}]}]}`,
      'entries[0]: selectors[0]: ',
    ],
  ] as const;
  test.each(rejected)('refuses %s', async (_what, input, message) => {
    const { code, stderr } = await server.run(['entry', 'create', '-data', '-'], { input });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
    expect(stderr).toMatch(/^Error: .*\n$/);
  });

  test('refuses a file that is missing', async () => {
    const { code, stderr } = await server.run(['entry', 'create', '-data', '/nonexistent']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Error: "\/nonexistent" cannot be read.*\n$/),
    });
  });
});

describe('entry show and count', () => {
  const group = randomUUID();
  const parent = `spiffe://example.org/parent-${group}`;
  let ids: readonly string[];

  beforeAll(async () => {
    const create = async (name: string, ...flags: readonly string[]) => {
      const args = ['-parentID', parent, '-spiffeID', `spiffe://example.org/${group}/${name}`, ...flags];
      const { json } = await server.runJson(['entry', 'create', ...args]);
      return String(json.results[0].entry.id);
    };
    ids = [
      await create('b', '-selector', 'unix:uid:0', '-selector', 'unix:gid:0'),
      await create('a', '-selector', 'unix:uid:0', '-hint', `hint-${group}`),
      await create('c', '-selector', 'unix:uid:1', '-downstream'),
    ];
  });

  const filters = [
    ['the parent', [], 'abc'],
    ['the SPIFFE ID', ['-spiffeID', `spiffe://example.org/${group}/b`], 'b'],
    ['a selector, and others', ['-selector', 'unix:uid:0'], 'ab'],
    ['exactly a selector', ['-selector', 'unix:uid:0', '-matchSelectorsOn', 'exact'], 'a'],
    ['any of two selectors', ['-selector', 'unix:gid:0', '-selector', 'unix:uid:1', '-matchSelectorsOn=any'], 'bc'],
    [
      'selectors among three',
      ['-selector', 'unix:uid:0', '-selector', 'unix:uid:1', '-matchSelectorsOn', 'subset'],
      'ac',
    ],
    ['what is for downstream servers', ['-downstream'], 'c'],
    ['what is not for downstream servers', ['-downstream=false'], 'ab'],
    ['the hint', ['-hint', `hint-${group}`], 'a'],
    ['another trust domain', ['-federatesWith', 'b.test'], ''],
  ] as const;
  test.each(filters)('choose by %s, in order', async (_what, flags, names) => {
    const { json } = await server.runJson(['entry', 'show', '-parentID', parent, ...flags]);
    const paths = json.entries.map((entry: { spiffe_id: { path: string } }) => entry.spiffe_id.path);
    expect(paths).toEqual([...names].map((name) => `/${group}/${name}`));
    const count = await server.runJson(['entry', 'count', '-parentID', parent, ...flags]);
    expect(count.json).toEqual({ count: names.length });
  });

  test('show one by its ID', async () => {
    const { code, stdout } = await server.run(['entry', 'show', '-entryID', ids[0] ?? '']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Found 1 entry\nEntry ID {16}: /) });
  });

  test('count in words', async () => {
    const { stdout } = await server.run(['entry', 'count', '-parentID', parent]);
    expect(stdout).toBe('3 registration entries\n');
  });

  test('tell that there is no such entry', async () => {
    const { code, stdout, stderr } = await server.run(['entry', 'show', '-entryID', 'nothing']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: .*nothing.*\n$/);
  });

  test('refuse an ID together with a filter', async () => {
    const { code, stderr } = await server.run(['entry', 'show', '-entryID', 'x', '-spiffeID', NODE]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'Error: -entryID names one entry: leave out the other flags\n',
    });
  });
});

describe('entry update', () => {
  test('replaces the entry, and keeps the attribute that was not named', async () => {
    const name = randomUUID();
    const id = await createEntry(name, '-dns', 'a.example', '-disableX509SVIDPrefetch');
    const flags = ['-parentID', NODE, '-spiffeID', `spiffe://example.org/${name}`, '-selector', 'unix:uid:7'];
    const { json } = await server.runJson(['entry', 'update', '-entryID', id, ...flags, '-jwtSVIDIncludeJTI']);
    expect(json.results).toMatchObject([
      {
        status: { code: 0 },
        entry: {
          revision_number: '1',
          dns_names: [],
          selectors: [{ value: 'uid:7' }],
          additional_attributes: { disable_x509_svid_prefetch: true, jwt_svid_include_jti: true },
        },
      },
    ]);
  });

  test('tells that there is no such entry, with exit code 1', async () => {
    const flags = ['-parentID', NODE, '-spiffeID', `${NODE}/x`, '-selector', 'unix:uid:7'];
    const { code, stderr } = await server.run(['entry', 'update', '-entryID', 'nothing', ...flags]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Failed to update the following entry \(code: NotFound, msg: /),
    });
  });

  test('refuses no ID', async () => {
    const { code, stderr } = await server.run(['entry', 'update', '-spiffeID', NODE]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: give the -entryID of the entry to replace\n' });
  });
});

describe('entry delete', () => {
  test('deletes one', async () => {
    const id = await createEntry(randomUUID());
    const { code, stdout } = await server.run(['entry', 'delete', '-entryID', id]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(`Deleted entry with ID: ${id}\n`) });
    expect((await server.run(['entry', 'show', '-entryID', id])).code).toBe(1);
  });

  test('deletes those of a list, and tells which it did not', async () => {
    const id = await createEntry(randomUUID());
    const { code, stdout, stderr } = await server.run(['entry', 'delete', '-file', '-'], {
      input: JSON.stringify({ ids: [id, 'nothing'] }),
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(`Deleted entry with ID: ${id}\n`) });
    expect(stderr).toContain('Failed to delete entry with ID nothing (code: NotFound, msg: ');
  });

  test('prints JSON', async () => {
    const id = await createEntry(randomUUID());
    const { json } = await server.runJson(['entry', 'delete', '-entryID', id]);
    expect(json).toEqual({ results: [{ status: { code: 0, message: 'OK' }, id }] });
  });

  test('refuses a list that is none', async () => {
    const { code, stderr } = await server.run(['entry', 'delete', '-file', '-'], { input: '{"ids":"x"}' });
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: standard input: "ids" must be a list of entry IDs\n' });
  });
});
