// Regenerates src/gen from proto/. Source: buf.yaml and buf.gen.yaml.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const buf = `${root}node_modules/@bufbuild/buf-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}/bin/buf`;
execFileSync(buf, ['generate'], { cwd: root, stdio: 'inherit' });
