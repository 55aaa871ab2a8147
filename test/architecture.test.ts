import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

// The rules of docs/architecture.md ("Layers: import downwards only") and of the house style, file by file.

const root = join(import.meta.dirname, '..');
const MAX_LINES = 400;

const values = ['spiffe', 'x509', 'tpm', 'gen'];
const mechanisms = ['rpc', 'config', 'log', 'time', 'files', 'addon', 'http', 'acme', 'telemetry', 'tracing'];

/** What a folder of src, or that of one plugin, may import besides itself; `datastore` is the server's alone. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  cli: [
    'server',
    'agent',
    'helper',
    'oidc',
    'authoring',
    'testing',
    'tpm-device',
    'tpm-trust',
    ...mechanisms,
    ...values,
  ],
  server: ['datastore', 'plugin-host', ...mechanisms, ...values],
  agent: ['plugin-host', ...mechanisms, ...values],
  helper: [...mechanisms, ...values],
  oidc: [...mechanisms, ...values],
  authoring: ['plugin-host', ...mechanisms, ...values],
  plugins: [
    'plugins/cloud',
    'plugins/container',
    'plugins/kubernetes',
    'plugins/process',
    'plugins/vault-client',
    'plugin-sdk',
    'spiffe',
    'x509',
    'tpm',
    'config',
    'files',
  ],
  'plugins/tpm': ['tpm-device', 'tpm-trust'],
  'plugins/tpm-keys': ['tpm-device'],
  'plugins/tpm-devid': ['tpm-device', 'tpm-trust'],
  'plugins/pkcs11': ['pkcs11', 'tpm-device'],
  'plugin-host': [...mechanisms, ...values],
  'plugin-sdk': [...mechanisms, ...values],
  testing: [...mechanisms, ...values],
  rpc: ['addon', 'log', ...values],
  datastore: ['spiffe', 'x509', 'config', 'files', 'log'],
  config: ['spiffe'],
  log: values,
  time: ['spiffe', 'log'],
  http: ['spiffe', 'config', 'log'],
  acme: ['spiffe', 'config', 'log', 'time', 'files', 'http'],
  telemetry: ['spiffe', 'config', 'log', 'http', 'files'],
  tracing: ['rpc', 'spiffe', 'config', 'log'],
  files: ['spiffe'],
  addon: ['spiffe'],
  'tpm-device': ['addon', 'spiffe', 'x509', 'tpm'],
  pkcs11: ['addon', 'files', 'log', 'spiffe', 'x509'],
  'tpm-trust': ['spiffe', 'x509', 'tpm'],
  tpm: ['spiffe', 'x509'],
  spiffe: ['x509'],
  x509: ['spiffe/error.ts'],
  gen: [],
};

/** What one file may import beyond its folder. */
const ALLOWED_TO_FILE: Readonly<Record<string, readonly string[]>> = {
  'src/cli/builtin-plugins.ts': [
    'aws-iid',
    'azure-imds',
    'disk',
    'docker',
    'gcp-iit',
    'hashicorp-vault',
    'http-challenge',
    'k8s',
    'k8s-configmap',
    'k8s-psat',
    'memory',
    'pkcs11',
    'sshpop',
    'systemd',
    'tpm',
    'tpm-keys',
    'tpm-devid',
    'uniqueid',
    'unix',
    'upstream-disk',
    'upstream-spire',
    'vault-client',
    'x509pop',
  ].map((name) => `plugins/${name}/manifest.ts`),
};

/** Packages that one folder alone knows. */
const OWNED_PACKAGES: readonly (readonly [string, string])[] = [
  ['@grpc/grpc-js', 'rpc'],
  ['kysely', 'datastore'],
  ['pg', 'datastore'],
  ['node:sqlite', 'datastore'],
  ['@opentelemetry', 'tracing'],
  ['@aws-sdk', 'plugins/aws-iid'],
];

const sources = filesBelow('src').filter((path) => path.endsWith('.ts'));
const written = sources.filter((path) => !path.startsWith('src/gen/'));
const tests = filesBelow('test').filter((path) => path.endsWith('.ts'));

describe('imports', () => {
  test('go downwards only', () => {
    expect(
      sources.flatMap((path) =>
        importsOf(path)
          .filter((target) => !isAllowed(path, target))
          .map(arrow(path)),
      ),
    ).toEqual([]);
  });

  test('reach the programs and the author’s tools through their index.ts only', () => {
    const deep = (target: string) =>
      /^src\/(server|agent|helper|oidc|testing|authoring\/[a-z-]+)\/(?!index\.ts$)/.test(target);
    const cli = written.filter((path) => path.startsWith('src/cli/'));
    expect(cli.flatMap((path) => importsOf(path).filter(deep).map(arrow(path)))).toEqual([]);
  });

  test('name files that exist, by their whole name', () => {
    const isMissing = (target: string) => target.startsWith('src/') && !sources.includes(target);
    expect(written.flatMap((path) => importsOf(path).filter(isMissing).map(arrow(path)))).toEqual([]);
  });

  test.each(OWNED_PACKAGES)('%s is known to src/%s alone', (name, folder) => {
    const isName = (target: string) => target === name || target.startsWith(`${name}/`);
    const others = sources.filter((path) => !path.startsWith(`src/${folder}/`));
    expect(others.flatMap((path) => importsOf(path).filter(isName).map(arrow(path)))).toEqual([]);
  });

  test('of the product never lead to tests, benchmarks or the demonstration', () => {
    expect(
      sources.flatMap((path) =>
        importsOf(path)
          .filter((target) => /^(test|bench|demo|scripts)\//.test(target))
          .map(arrow(path)),
      ),
    ).toEqual([]);
  });

  test('of benchmarks are nobody else’s', () => {
    const others = [...sources, ...tests]
      .filter((path) => !path.startsWith('test/bench/'))
      .filter((path) => importsOf(path).some((target) => target.startsWith('bench/')));
    expect(others).toEqual([]);
  });
});

describe('the plugins that come with the programs', () => {
  // But for their manifests, which the host reads: other plugins have a file beside them. What reaches a TPM or a PKCS#11 token with an addon, and what reads whose TPMs are trusted, are their own.
  test('use nothing that assayer/plugin-sdk does not export', () => {
    const exported = new Set(
      ['src/plugin-sdk/index.ts', 'src/plugin-sdk/tpm.ts'].flatMap((path) => namesIn(path, 'export').flatMap(named)),
    );
    const plugins = written.filter((path) => path.startsWith('src/plugins/'));
    const used = plugins.flatMap((path) =>
      namesIn(path, 'import')
        .filter(
          ({ specifier }) =>
            specifier.startsWith('../../') && !/^\.\.\/\.\.\/(tpm-device|tpm-trust|pkcs11)\//.test(specifier),
        )
        .flatMap((imported) => named(imported).map((name) => ({ path, name }))),
    );
    expect(used.length).toBeGreaterThan(50);
    expect(used.filter(({ path, name }) => !exported.has(name) && !path.endsWith('/manifest.ts'))).toEqual([]);
  });
});

describe('the host service that makes attestations repeatable', () => {
  test('is known to the plugin SDK and to the tools that record and replay, and to no program', () => {
    const service = 'src/gen/assayer/hostservice/replay/v1/replay.ts';
    const knowing = written.filter((path) => importsOf(path).includes(service));
    const allowed = /^src\/(plugin-sdk|authoring\/transcript)\//;
    expect(knowing.length).toBeGreaterThan(0);
    expect(knowing.filter((path) => !allowed.test(path))).toEqual([]);
  });
});

describe('native addons', () => {
  test('are loaded by src/addon alone', () => {
    const loading = written.filter((path) => /\.node['"`]|process\.dlopen/.test(codeOf(path)));
    expect(loading.filter((path) => !path.startsWith('src/addon/'))).toEqual([]);
  });
});

describe('files', () => {
  test('are named in kebab case, after one idea', () => {
    const isWellNamed = (path: string) =>
      /^[a-z0-9]+(-[a-z0-9]+)*(\.main|\.test)?\.ts$/.test(basename(path)) &&
      !/^(utils?|commons?|helpers?|types|misc)\.ts$/.test(basename(path)) &&
      dirname(path)
        .split('/')
        .every((folder) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(folder));
    expect([...written, ...tests].filter((path) => !isWellNamed(path))).toEqual([]);
  });

  test(`have ${MAX_LINES} lines at most`, () => {
    const long = [...written, ...tests].map((path) => ({ path, lines: textOf(path).trimEnd().split('\n').length }));
    expect(long.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });

  test('have no default export', () => {
    expect([...written, ...tests].filter((path) => /^export default\b|\bas default\b/m.test(codeOf(path)))).toEqual([]);
  });

  test('index.ts stands only where others enter', () => {
    const programs = ['src/server/index.ts', 'src/agent/index.ts', 'src/helper/index.ts', 'src/oidc/index.ts'];
    const isEntry = (path: string) =>
      [...programs, 'src/plugin-sdk/index.ts', 'src/testing/index.ts'].includes(path) ||
      /^src\/authoring\/[a-z-]+\/index\.ts$/.test(path);
    expect(written.filter((path) => basename(path) === 'index.ts' && !isEntry(path))).toEqual([]);
  });
});

describe('tests', () => {
  test('stand where their subject stands', () => {
    const folders = readdirSync(join(root, 'src'));
    const mirrored = tests.filter((path) => path.endsWith('.test.ts') && folders.includes(path.split('/')[1] ?? ''));
    expect(mirrored.filter((path) => !isMirrored(path))).toEqual([]);
  });
});

/** test/a/b.test.ts is about src/a/b.ts, or about several files of src/a together. */
function isMirrored(path: string): boolean {
  const folder = dirname(path).replace(/^test\//, 'src/');
  return sources.some((source) => source === `${folder}.ts` || source.startsWith(`${folder}/`));
}

function isAllowed(path: string, target: string): boolean {
  if (!target.startsWith('src/')) return true;
  const from = partOf(path);
  const to = partOf(target);
  if (from === to) return true;
  const [, folder = ''] = path.split('/');
  const wanted = target.slice('src/'.length);
  return [...(ALLOWED[folder] ?? []), ...(ALLOWED[from] ?? []), ...(ALLOWED_TO_FILE[path] ?? [])].some(
    (allowed) => wanted === allowed || wanted.startsWith(`${allowed}/`),
  );
}

/** The unit that may import itself freely: a folder of src, or the folder of one plugin. */
function partOf(path: string): string {
  const [, folder = '', plugin = ''] = path.split('/');
  return folder === 'plugins' ? `plugins/${plugin}` : folder;
}

/** Relative imports as paths from the checkout's root, others as written. */
function importsOf(path: string): string[] {
  const specifiers = [
    ...codeOf(path).matchAll(/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm),
    ...codeOf(path).matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm),
    ...codeOf(path).matchAll(/\bimport\s*\(\s*['"]([^'"]+)['"]/g),
    ...codeOf(path).matchAll(/\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]/g),
  ].map(([, specifier = '']) => specifier);
  return specifiers.map((specifier) =>
    specifier.startsWith('.') ? relative(root, join(root, dirname(path), specifier)) : specifier,
  );
}

interface NamedModule {
  readonly names: string;
  readonly specifier: string;
}

/** `import { names } from 'specifier'`, or `export`. */
function namesIn(path: string, keyword: 'import' | 'export'): NamedModule[] {
  const statements = new RegExp(`^${keyword}\\s+(?:type\\s+)?\\{([^}]*)\\}\\s*from\\s*'([^']+)'`, 'gm');
  return [...codeOf(path).matchAll(statements)].map(([, names = '', specifier = '']) => ({ names, specifier }));
}

function named({ names }: NamedModule): string[] {
  return names
    .split(',')
    .map((name) => name.trim().replace(/^type\s+/, ''))
    .filter((name) => name !== '');
}

/** The text without its comments, which stand on lines of their own or behind a space. */
function codeOf(path: string): string {
  return textOf(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '$1');
}

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.includes('node_modules') && !/(^|\/)(vectors|target)\//.test(path))
    .map((path) => join(folder, path))
    .filter((path) => statSync(join(root, path)).isFile());
}

function arrow(path: string): (target: string) => string {
  return (target) => `${path} → ${target}`;
}
