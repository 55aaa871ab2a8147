import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { debianPackages } from './debian-packages.js';
import { fingerprint } from './fingerprint.js';
import { runCommand } from './run-command.js';
import { SetUpError } from './set-up-error.js';

const VERSION = '1.34.4';
const MODULE = join('test', 'kubernetes', 'components');
const PROGRAMS = ['kube-apiserver', 'kubelet'];

const wanted = () => fingerprint({ paths: [join(MODULE, 'go.mod'), join(MODULE, 'go.sum')] }).slice(0, 16);

/** Where the programs stay for later runs, of other checkouts too. */
export const kubernetesFolder = () => join(tmpdir(), 'assayer-test-go', `${wanted()}-kubernetes`);

/** What no package brings, so that nothing is installed or built where the tests cannot run anyway. */
export const kubernetesMachine = {
  isDone: () => findLacks().length === 0,
  title: () => 'looks whether a kubelet can run here',
  run: () => Promise.reject(new SetUpError(findLacks().join('\n'))),
};

const packages = debianPackages([
  { name: 'etcd-server', command: 'etcd' },
  { name: 'containerd', command: 'containerd' },
  { name: 'runc', command: 'runc' },
  { name: 'busybox-static', command: 'busybox' },
]);

/** From the Go modules that `components/go.mod` pins. */
const programs = {
  isDone: () => PROGRAMS.every((name) => existsSync(join(kubernetesFolder(), name))),
  title: () => `builds ${PROGRAMS.join(' and ')} ${VERSION}, which takes 5 minutes of two idle cores, once`,
  async run() {
    mkdirSync(kubernetesFolder(), { recursive: true });
    for (const name of PROGRAMS.filter((name) => !existsSync(join(kubernetesFolder(), name)))) await build(name);
  },
};

async function build(name) {
  const executable = join(kubernetesFolder(), name);
  const unfinished = `${executable}.${process.pid}`;
  const [major, minor] = VERSION.split('.');
  const variables = { gitVersion: `v${VERSION}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(variables).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`);
  const args = ['build', '-trimpath', '-ldflags', ['-s -w', ...flags].join(' '), '-o', unfinished];
  await runCommand('nice', ['-n', '19', 'go', ...args, `k8s.io/kubernetes/cmd/${name}`], {
    cwd: join(checkout, MODULE),
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  renameSync(unfinished, executable);
}

/** @returns {string[]} a sentence each, with what to do */
function findLacks() {
  const lacks = [];
  if (!isRoot()) {
    lacks.push(
      'a kubelet needs root: run "sudo env PATH=$PATH npm run test:k8s", or try in a virtual machine of its own',
    );
  }
  const go = findGo();
  if (!programs.isDone() && !go.isEnough) {
    lacks.push(`Kubernetes ${VERSION} is built with Go 1.24 or later, and ${go.found}: see https://go.dev/doc/install`);
  }
  if (isRoot() && !canMount()) {
    lacks.push(
      'containerd may not mount here, as in a container without privileges: run the tests on the machine itself, or in "docker run --privileged"',
    );
  }
  return lacks;
}

function findGo() {
  let version;
  try {
    version = execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', cwd: tmpdir() }).trim();
  } catch {
    return { isEnough: false, found: 'no go is in PATH' };
  }
  const [, major = 0, minor = 0] = /^go(\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
  return { isEnough: major > 1 || (major === 1 && minor >= 24), found: `${version} is in PATH` };
}

/** Of the machine, not of a user namespace, where no cgroup and no sysctl can be written. */
function isRoot() {
  return process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

/** In a mount namespace that ends with the command. */
function canMount() {
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0;
}

export const kubernetesSteps = [packages, programs];
