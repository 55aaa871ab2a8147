import { join } from 'node:path';
import type { Half } from './kinds.ts';
import type { OwnPackage } from './package-folder.ts';
import type { ProjectFiles } from './template-files.ts';

export interface Project {
  readonly name: string;
  /** Absolute path that the project will have. */
  readonly folder: string;
  readonly halves: readonly Half[];
}

/** The npm package of a project in TypeScript. */
export function packageJson({ name, halves }: Project, { folder, toolVersions }: OwnPackage): string {
  const each = (line: (half: Half) => string) => halves.map(line).join(' && ');
  return toJson({
    name: `${name}-plugin`,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=24' },
    scripts: {
      test: "node --test 'test/*.test.ts'",
      check: 'tsc',
      build: each(({ prefix, program }) => {
        const manifest = `${prefix}manifest.json`;
        return `assayer plugin build -o dist/${program} -manifest ${manifest} src/${prefix}main.ts`;
      }),
      inspect: each(inspectLine),
      conformance: each(conformanceLine),
    },
    dependencies: { assayer: `file:${folder}` },
    devDependencies: toolVersions,
  });
}

/** What builds and tries a project in Go. */
export function makefile({ halves }: Project, { folder }: OwnPackage): string {
  const programs = halves.map(({ program }) => `dist/${program}`);
  const build = halves.flatMap(({ prefix, program }) => [
    `go build -trimpath -ldflags=-s -o dist/${program} ./${prefix.replace('.', '')}`,
    `cp ${prefix}manifest.json dist/${program}.manifest.json`,
  ]);
  const target = (name: string, lines: readonly string[]) => `${name}:\n${lines.map((line) => `\t${line}\n`).join('')}`;
  return [
    `ASSAYER ?= ${join(folder, 'bin', 'assayer')}\n`,
    'export CGO_ENABLED = 0\n',
    '.PHONY: build test inspect conformance\n',
    target('build', [...build, `sha256sum ${programs.join(' ')}`]),
    target('test', ['go test -trimpath ./...']),
    target('inspect', halves.map(inspectLine).map(withVariable)),
    target('conformance', halves.map(conformanceLine).map(withVariable)),
  ].join('\n');
}

/** The blocks that name the built plugins in the configuration of server and agent, by file name. */
export function configurationBlocks({ name, folder, halves }: Project, files: ProjectFiles): ProjectFiles {
  return new Map(
    halves.map(({ side, type, prefix, program }) => {
      const data = files.get(`${prefix}plugin.hcl`) ?? '';
      const lines = [
        `# In the section "plugins" of the ${side}'s configuration file.`,
        `${type} "${name}" {`,
        `  plugin_cmd = ${JSON.stringify(join(folder, 'dist', program))}`,
        '  # plugin_checksum = "…"   the build prints it',
        '  plugin_data {',
        ...data
          .split('\n')
          .filter(Boolean)
          .map((line) => `    ${line}`),
        '  }',
        '}',
      ];
      return [`${side}.conf`, `${lines.join('\n')}\n`];
    }),
  );
}

function inspectLine({ prefix, program }: Half): string {
  return `assayer plugin inspect -config ${prefix}plugin.hcl dist/${program}`;
}

function conformanceLine({ prefix, program }: Half): string {
  return `assayer plugin test -config ${prefix}plugin.hcl dist/${program}`;
}

function withVariable(line: string): string {
  return line.replace(/^assayer/, '$(ASSAYER)');
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
