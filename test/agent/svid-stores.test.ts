import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sendEntries } from '../../src/cli/apply/send-entries.ts';
import { ApplyDefinition } from '../../src/gen/assayer/server/apply/v1/apply.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Bundle, Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { emptyBundle, type Bundle as TrustBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, JOIN_TOKEN_AND_UNIX, type TestAgent } from '../harness/running-agent.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

// Inventory K006: entries with store_svid go to the plugin that their selectors name, and to no workload.

vi.setConfig({ testTimeout: 120_000 });
const WAIT = { timeout: 50_000, interval: 50 };
const PARTNER = 'partner.org';
const fileStore = fileURLToPath(new URL('../interop/sdk-plugins/file-store.ts', import.meta.url));

/** What the store has of one name, as the plugin wrote it. */
interface Kept {
  readonly spiffeId: string;
  readonly chain: readonly string[];
  readonly key: string;
  readonly bundle: readonly string[];
  readonly expiresAt: number;
  readonly metadata: readonly string[];
  readonly federated: Readonly<Record<string, string>>;
}

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

/** The folder that a plugin keeps its files in. */
class StoreFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async names(): Promise<readonly string[]> {
    return (await readdir(this.path)).filter((name) => name.endsWith('.json')).sort();
  }

  async find(name: string): Promise<Kept | undefined> {
    const text = await readFile(join(this.path, `${name}.json`), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async journal(): Promise<readonly string[]> {
    const text = await readFile(join(this.path, 'journal'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  async setBusy(isBusy: boolean): Promise<void> {
    await (isBusy ? writeFile(join(this.path, 'busy'), '') : rm(join(this.path, 'busy')));
  }
}

function describeStore(what: string, command: () => Promise<string>): void {
  describe(`an SVID store ${what}`, () => {
    const resources = new AsyncDisposableStack();
    let domain: TestDomain;
    let agent: TestAgent;
    let folder: StoreFolder;
    let plugins: string;
    let settings: string;

    beforeAll(async () => {
      domain = resources.use(await TestDomain.start());
      folder = new StoreFolder(domain.folder.join('kept'));
      await mkdir(folder.path);
      plugins = [
        diskKeys(domain.folder.join('agent')),
        JOIN_TOKEN_AND_UNIX,
        `SVIDStore "vault" { ${await command()} plugin_data { folder = "${folder.path}" } }`,
      ].join('\n  ');
      settings = `join_token = "${await domain.createToken()}"`;
      agent = await domain.startAgent('agent', { plugins, settings });
    }, 300_000); // the plugin in Go is built
    afterAll(async () => {
      await agent?.[Symbol.asyncDispose]();
      await resources.disposeAsync();
    });

    const create = (path: string, metadata: readonly string[], more: Partial<Entry> = {}) =>
      domain.createEntry(path, {
        selectors: metadata.map((value) => ({ type: 'vault', value })),
        storeSvid: true,
        ...more,
      });
    const valid = async (name: string) => {
      const kept = await folder.find(name);
      if (kept === undefined) return undefined;
      const authorities = kept.bundle.map((der) => ({ certificate: bytes(der), tainted: false }));
      const bundle: TrustBundle = { ...emptyBundle(parseTrustDomain('example.org')), x509Authorities: authorities };
      const { spiffeId, leaf } = validateX509Svid(kept.chain.map(bytes), bundle, new Date());
      const key = createPublicKey(
        createPrivateKey({ key: Buffer.from(kept.key, 'base64'), format: 'der', type: 'pkcs8' }),
      );
      expect(key.export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(leaf.subjectPublicKeyInfo));
      expect(kept.expiresAt).toBe(leaf.notAfter.getTime() / 1000);
      expect(kept.spiffeId).toBe(spiffeId);
      return spiffeId;
    };
    const callsOf = async (call: string) => (await folder.journal()).filter((line) => line === call).length;
    const setPartner = async (certificate: Uint8Array) => {
      const bundle = Bundle.fromPartial({ trustDomain: PARTNER, x509Authorities: [{ asn1: certificate }] });
      const api = domain.server.admin(BundleDefinition);
      const { results } = await api.batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
      expect(results.map(({ status }) => status?.code)).toEqual([0]);
    };
    const change = async (id: string, metadata: readonly string[]) => {
      const entry = Entry.fromPartial({ id, selectors: metadata.map((value) => ({ type: 'vault', value })) });
      const inputMask = EntryMask.create({ selectors: true });
      const api = domain.server.admin(EntryDefinition);
      const { results } = await api.batchUpdateEntry({ entries: [entry], inputMask, outputMask: undefined });
      expect(results.map(({ status }) => status?.code)).toEqual([0]);
    };

    test('has the SVID of an entry, valid with its key, bundle and federated bundle, until the entry is deleted', async () => {
      const partner = await TestAuthority.create(PARTNER);
      await setPartner(partner.certificate.der);
      const id = await create('/one', ['name:one', 'colour:red'], { federatesWith: [PARTNER] });
      await domain.createEntry('/web', { hint: 'served' });
      await expect.poll(() => valid('one'), WAIT).toBe('spiffe://example.org/one');
      const kept = await folder.find('one');
      expect(kept?.metadata.toSorted()).toEqual(['colour:red', 'name:one']);
      expect(kept?.federated).toEqual({
        'spiffe://partner.org': Buffer.from(partner.certificate.der).toString('base64'),
      });
      await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/web']);

      const next = await TestAuthority.create(PARTNER);
      await setPartner(next.certificate.der);
      const federated = async () => (await folder.find('one'))?.federated['spiffe://partner.org'];
      await expect.poll(federated, WAIT).toBe(Buffer.from(next.certificate.der).toString('base64'));

      await domain.deleteEntry(id);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('is told where to delete when an entry goes elsewhere, before it is told where to', async () => {
      const id = await create('/two', ['name:two', 'key:a']);
      await expect.poll(() => valid('two'), WAIT).toBe('spiffe://example.org/two');
      await change(id, ['name:two', 'key:b']); // the very same file
      await expect.poll(async () => (await folder.find('two'))?.metadata.includes('key:b'), WAIT).toBe(true);
      await change(id, ['name:elsewhere']);
      await expect.poll(() => valid('elsewhere'), WAIT).toBe('spiffe://example.org/two');
      await expect.poll(() => folder.names(), WAIT).toEqual(['elsewhere.json']);
      await domain.deleteEntry(id);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('keeps a place whose entry gives way to another one at once', async () => {
      const replaceBy = async (...paths: readonly string[]) => {
        const entries = paths.map((path) =>
          Entry.fromPartial({
            spiffeId: { trustDomain: domain.trustDomain, path },
            parentId: { trustDomain: domain.trustDomain, path: '/node' },
            selectors: [{ type: 'vault', value: 'name:place' }],
            storeSvid: true,
          }),
        );
        const options = { set: 'store', prune: true, dryRun: false, adopt: false };
        const { problems } = await sendEntries(domain.server.admin(ApplyDefinition), options, entries);
        expect(problems).toEqual([]);
      };
      await replaceBy('/before');
      await expect.poll(() => valid('place'), WAIT).toBe('spiffe://example.org/before');
      await replaceBy('/after');
      await expect.poll(() => valid('place'), WAIT).toBe('spiffe://example.org/after');
      expect(await callsOf('delete name:place')).toBe(0);
      await replaceBy();
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
      expect(await callsOf('delete name:place')).toBe(1);
    });

    test('that fails is asked again, with what is wanted by then; a deletion that comes late takes nothing with it', async () => {
      const id = await create('/three', ['name:three']);
      await expect.poll(() => valid('three'), WAIT).toBe('spiffe://example.org/three');
      await folder.setBusy(true);
      await change(id, ['name:three', 'key:b']);
      const late = await create('/late', ['name:late']);
      await expect.poll(() => callsOf('delete name:three'), WAIT).toBeGreaterThan(1);
      await expect.poll(() => callsOf('put name:late'), WAIT).toBeGreaterThan(0);
      await folder.setBusy(false);
      await expect.poll(() => folder.names(), WAIT).toEqual(['late.json', 'three.json']);
      const has = (message: string, entryId: string) =>
        agent.records.some((record) => record.message === message && record.fields.entry_id === entryId);
      await expect.poll(() => has('the X.509-SVID of an entry is stored', late), WAIT).toBe(true);
      await expect.poll(() => has('the X.509-SVID of an entry is stored no more', id), WAIT).toBe(true);
      await expect.poll(async () => (await folder.find('three'))?.metadata.includes('key:b'), WAIT).toBe(true);
      expect(await valid('three')).toBe('spiffe://example.org/three');
      const failures = agent.records.filter(({ level }) => level === 'error').map(({ fields }) => fields.reason);
      expect(new Set(failures)).toEqual(new Set(['svidstore(vault): the store is busy']));
      await domain.deleteEntry(id);
      await domain.deleteEntry(late);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('that is killed goes on with the next process', async () => {
      const id = await create('/four', ['name:four']);
      await expect.poll(() => valid('four'), WAIT).toBe('spiffe://example.org/four');
      const pid = agent.running.plugins.find(({ type }) => type === 'SVIDStore')?.pid;
      if (pid === undefined) throw new Error('the store does not run');
      process.kill(pid, 'SIGKILL');
      const other = await create('/five', ['name:five']);
      await domain.deleteEntry(id);
      await expect.poll(() => folder.names(), WAIT).toEqual(['five.json']);
      await domain.deleteEntry(other);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('gets another SVID and bundle when an authority is tainted', async () => {
      const id = await create('/six', ['name:six']);
      await expect.poll(() => valid('six'), WAIT).toBe('spiffe://example.org/six');
      const steps = authoritySteps(domain.server, 'X509');
      const old = await steps.active();
      const prepared = await steps.prepare();
      const signedBy = async () => {
        const kept = await folder.find('six');
        const leaf = parseCertificate(bytes(kept?.chain[0] ?? ''));
        return { signer: Buffer.from(leaf.authorityKeyId ?? []).toString('hex'), bundle: kept?.bundle.length };
      };
      await expect.poll(signedBy, WAIT).toEqual({ signer: old, bundle: 2 });
      await steps.activate(prepared);
      await steps.taint(old);
      await expect.poll(signedBy, WAIT).toEqual({ signer: prepared, bundle: 2 });
      const others = () => [...agent.messages, ...domain.server.records.map(({ message }) => message)];
      await expect
        .poll(others, WAIT)
        .toEqual(expect.arrayContaining(['agent X.509-SVID renewed', 'server X.509-SVID rotated']));
      await steps.revoke(old);
      await expect.poll(signedBy, WAIT).toEqual({ signer: prepared, bundle: 1 });
      expect(await valid('six')).toBe('spiffe://example.org/six');
      await domain.deleteEntry(id);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('has what an agent deletes that was down when the entry went', async () => {
      const gone = await create('/gone', ['name:gone']);
      const kept = await create('/kept', ['name:kept']);
      await expect.poll(() => folder.names(), WAIT).toEqual(['gone.json', 'kept.json']);
      await agent[Symbol.asyncDispose]();
      await domain.deleteEntry(gone);
      agent = await domain.startAgent('agent', { plugins, settings });
      await expect.poll(() => folder.names(), WAIT).toEqual(['kept.json']);
      expect(await valid('kept')).toBe('spiffe://example.org/kept');
      await domain.deleteEntry(kept);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });

    test('is missing, or has to share: the log says so once, and the first entry has the place', async () => {
      const first = await create('/first', ['name:shared']);
      await expect.poll(() => valid('shared'), WAIT).toBe('spiffe://example.org/first');
      const second = await create('/second', ['name:shared']);
      const homeless = await domain.createEntry('/homeless', {
        selectors: [{ type: 'cupboard', value: 'name:x' }],
        storeSvid: true,
      });
      const complaints = () =>
        agent.records
          .filter(({ message }) => message === 'the X.509-SVID of an entry cannot be stored')
          .map(({ fields }) => [fields.entry_id, fields.reason]);
      await expect.poll(() => complaints().length, WAIT).toBe(2);
      expect(new Map(complaints() as [string, string][])).toEqual(
        new Map([
          [second, `entry ${first} has the same selectors, and is stored there`],
          [homeless, expect.stringContaining('add SVIDStore "cupboard" to the plugins of this agent')],
        ]),
      );
      await domain.deleteEntry(first);
      await expect.poll(() => valid('shared'), WAIT).toBe('spiffe://example.org/second');
      await domain.deleteEntry(second);
      await domain.deleteEntry(homeless);
      await expect.poll(() => folder.names(), WAIT).toEqual([]);
    });
  });
}

describeStore('of our SDK', async () => `plugin_cmd = "${process.execPath}" plugin_args = ["${fileStore}"]`);
describeWithGo('in Go, with SPIRE’s SDK', () =>
  describeStore('with go-plugin 1.8', async () => `plugin_cmd = "${await goPlugin('file-store', '1.8.0')}"`),
);
