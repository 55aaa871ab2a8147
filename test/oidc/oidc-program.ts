import { writeFile } from 'node:fs/promises';
import { ProgramProcess } from '../cli/run-cli.ts';
import { freePort } from '../harness/free-port.ts';

export interface OidcSettings {
  readonly folder: string;
  /** Lines of the configuration, in which PORT is one that is free. */
  readonly settings: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A provider as its operator runs it. */
export interface OidcProgram extends AsyncDisposable {
  readonly port: number;
  readonly program: ProgramProcess;
}

let started = 0;

export async function startOidcProgram({ folder, settings, env = {} }: OidcSettings): Promise<OidcProgram> {
  const port = await freePort();
  started += 1;
  const path = `${folder}/oidc-${started}.conf`;
  await writeFile(path, `log_level = "debug"\n${settings.replaceAll('PORT', String(port))}`);
  const program = new ProgramProcess(['oidc-discovery', '-config', path], 'stderr', env);
  try {
    await program.waitFor('the documents are served');
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return { port, program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}
