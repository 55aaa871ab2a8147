import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';

/** A tool that no Debian package gives new enough; set-up does not install it. */
interface Tool {
  readonly command: string;
  readonly versionArgs: readonly string[];
  readonly wanted: string;
  isEnough(major: number, minor: number): boolean;
}

const go: Tool = {
  command: 'go',
  versionArgs: ['version'],
  wanted: 'Go 1.24 or later',
  isEnough: (major, minor) => major > 1 || (major === 1 && minor >= 24),
};
const rust: Tool = {
  command: 'cargo',
  versionArgs: ['--version'],
  wanted: 'Rust 1.85 or later',
  isEnough: (major, minor) => major > 1 || (major === 1 && minor >= 85),
};
const jdk: Tool = {
  command: 'javac',
  versionArgs: ['-version'],
  wanted: 'JDK 17 or later',
  isEnough: (major) => major >= 17,
};

const maven: Tool = {
  command: 'mvn',
  versionArgs: ['-q', '-version'],
  wanted: 'Maven 3.8 or later',
  isEnough: (major, minor) => major > 3 || (major === 3 && minor >= 8),
};
const pip: Tool = {
  command: 'python3',
  versionArgs: ['-m', 'pip', '--version'],
  wanted: 'Python with pip 22 or later',
  isEnough: (major) => major >= 22,
};

/** Like `describe`; where there is no Go 1.24 the tests are skipped, and the suite's name says why. */
export const describeWithGo = describeWith(go);
/** Like `describe`; where there is no Rust 1.85 the tests are skipped, and the suite's name says why. */
export const describeWithRust = describeWith(rust);
/** Like `describe`; where there is no JDK 17 the tests are skipped, and the suite's name says why. */
export const describeWithJdk = describeWith(jdk);
/** Like `describe`; where there is no Rust, JDK with Maven or Python with pip, the tests are skipped, and the suite's name says why. */
export const describeWithRustJavaAndPython = describeWith(rust, jdk, maven, pip);

function describeWith(...tools: readonly Tool[]): (name: string, body: () => void) => void {
  return (name, body) => {
    const lack = tools.map(findLack).find((found) => found !== undefined);
    if (lack === undefined) describe(name, body);
    else describe.skip(`${name} (${lack})`, body);
  };
}

function findLack({ command, versionArgs, wanted, isEnough }: Tool): string | undefined {
  let output: string;
  try {
    output = execFileSync(command, versionArgs, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return `needs ${wanted}: no ${command} in PATH`;
  }
  const [found = '', major, minor = '0'] = /(\d+)(?:\.(\d+))?/.exec(output) ?? [];
  return isEnough(Number(major), Number(minor)) ? undefined : `needs ${wanted}: found ${found}`;
}
